// The page: takes a photo, has the model segment it, and draws its mask over it in colours.

import { encodeGrey, resizeIds } from "./grey_png.js";
import { PROMISE, openModel, segmentPhoto } from "./model.js";

const at = (id) => document.getElementById(id);
let model = null; // class names and colours, the id of the background or -1
let opening = null; // the promise of the model
let latest = 0; // the number of the newest photo: answers to earlier ones are dropped
let stream = null;

// Opens the model; once, unless it failed.
function openOnce() {
  opening ??= openModel(say).then(
    ({ title, names, colors }) => {
      at("model").textContent = title;
      const background = names.findIndex((one) => one.replaceAll("_", "").toLowerCase() === "background");
      model = { names, colors, background };
    },
    (error) => {
      opening = null;
      throw error;
    },
  );
  return opening;
}

function say(text, isBusy = false) {
  at("status").textContent = text;
  at("status").classList.toggle("busy", isBusy);
}

function showError(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

async function segment(file) {
  const number = ++latest;
  showError("");
  at("result").hidden = true;
  try {
    await openOnce();
    if (number !== latest) return;
    say("Segmenting …", true);
    const found = await segmentPhoto(file);
    if (number === latest) await show(file, found);
    found.photo.close(); // 4 bytes a pixel
  } catch (error) {
    if (number !== latest) return;
    say("");
    showError(error.message);
  }
}

async function show(file, { photo, ids, width, height, fractions, png }) {
  for (const id of ["photo", "overlay"]) Object.assign(at(id), { width, height });
  at("photo").getContext("2d").drawImage(photo, 0, 0, width, height);
  paint(at("overlay"), ids);
  listClasses(fractions);
  const isReduced = photo.width * photo.height > width * height && "CompressionStream" in window;
  const mask = { width, height };
  const download = isReduced ? await encodeGrey(resizeIds(ids, mask, photo), photo) : png ?? (await encodeGrey(ids, mask));
  const sizes = [mask, photo].map((one) => `${one.width} x ${one.height}`);
  at("size").textContent = isReduced
    ? `Segmented at ${sizes[0]} pixels; the downloaded mask has the photo's ${sizes[1]}.`
    : `The mask has ${sizes[0]} pixels.`;
  URL.revokeObjectURL(at("download").href);
  at("download").href = URL.createObjectURL(download);
  at("download").download = `${(file.name || "photo").replace(/\.\w+$/, "")}.mask.png`;
  at("result").hidden = false;
  say(`Done: ${summary(fractions)}.`);
  at("result-title").focus();
}

// Draws class ids in the classes' colours; the background stays as it is.
function paint(canvas, ids) {
  const image = new ImageData(canvas.width, canvas.height);
  ids.forEach((id, pixel) => {
    if (id !== model.background) image.data.set(model.colors[id], 4 * pixel);
    image.data[4 * pixel + 3] = id === model.background ? 0 : 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function present(fractions) {
  const classes = fractions.map((fraction, id) => ({ id, fraction })).filter(({ fraction }) => fraction > 0);
  return classes.sort((one, other) => other.fraction - one.fraction);
}

function percent(fraction) {
  return fraction < 0.001 ? "< 0.1%" : `${(100 * fraction).toFixed(1)}%`;
}

function summary(fractions) {
  return present(fractions).slice(0, 3).map(({ id, fraction }) => `${model.names[id]} ${percent(fraction)}`).join(", ");
}

function listClasses(fractions) {
  const rows = present(fractions).map(({ id, fraction }) => {
    const row = document.createElement("tr");
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    if (id === model.background) swatch.classList.add("unpainted");
    else swatch.style.background = `rgb(${model.colors[id].join(" ")})`;
    const name = Object.assign(document.createElement("th"), { scope: "row", textContent: `${model.names[id]} ` });
    name.append(Object.assign(document.createElement("span"), { className: "id", textContent: `(${id})` }));
    row.append(document.createElement("td"), name, document.createElement("td"));
    row.firstChild.append(swatch);
    row.lastChild.textContent = percent(fraction);
    return row;
  });
  at("legend").tBodies[0].replaceChildren(...rows);
}

async function openCamera() {
  showError("");
  if (!navigator.mediaDevices?.getUserMedia) {
    // Browsers lend the camera to pages from https:// and localhost only; a phone's own camera program goes anywhere.
    at("file").setAttribute("capture", "environment");
    at("file").click();
    at("file").removeAttribute("capture");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    showError(`The camera cannot be used: ${error.message}.`);
    return;
  }
  at("shoot").disabled = true;
  at("video").srcObject = stream;
  at("viewfinder").hidden = false;
  at("close").focus();
}

function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("viewfinder").hidden = true;
  at("camera").focus();
}

async function shoot() {
  const { videoWidth: width, videoHeight: height } = at("video");
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(at("video"), 0, 0);
  closeCamera();
  segment(await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95)));
}

function take(files) {
  const [file] = files;
  if (file) segment(file);
}

at("file").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // the same file may be chosen again
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stream) closeCamera();
});
at("camera").addEventListener("click", openCamera);
at("video").addEventListener("loadeddata", () => {
  at("shoot").disabled = false;
  at("shoot").focus();
});
at("close").addEventListener("click", closeCamera);
at("shoot").addEventListener("click", shoot);
at("opacity").addEventListener("input", (event) => {
  at("overlay").style.opacity = event.target.value / 100;
  at("opacity-value").textContent = `${event.target.value}%`;
});
at("overlay").style.opacity = at("opacity").value / 100;
at("promise").textContent = PROMISE;
openOnce().then(
  () => {
    if (!latest) say("");
  },
  (error) => {
    if (latest) return; // the photo's own line says it
    say("");
    showError(error.message);
  },
);
