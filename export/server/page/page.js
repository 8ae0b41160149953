// The page: sends a photo to the server as any client does, and draws its mask over it in colours.

import { encodeGrey, resizeIds } from "./grey_png.js";

const LONGEST_SIDE = 1600; // pixels; larger photos are reduced before they are sent
const SENT_AS_THEY_ARE = ["image/jpeg", "image/png"];

const at = (id) => document.getElementById(id);
let model = null; // name, class names and colours, the id of the background or -1
let latest = 0; // the number of the newest photo: answers to earlier ones are dropped
let stream = null;

async function ask(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new Error("The server cannot be reached. Is it still running?");
  }
  const content = await answer.json().catch(() => ({ error: `The server answered with status ${answer.status}.` }));
  if (!answer.ok) throw new Error(content.error);
  return content;
}

async function loadModel() {
  const [name] = (await ask("v1/models")).models;
  const { parameters, versions } = await ask(`v2/models/${name}`);
  at("model").textContent = `${name}, version ${versions[0]}, ${parameters.class_names.length} classes`;
  const names = parameters.class_names;
  const background = names.findIndex((one) => one.replaceAll("_", "").toLowerCase() === "background");
  return { name, names, colors: parameters.class_colors, background };
}

function say(text, isBusy = false) {
  at("status").textContent = text;
  at("status").classList.toggle("busy", isBusy);
}

function showError(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
}

// Returns the blob to send and the photo, or null if this browser cannot decode it: the server then names the fault.
async function prepare(file) {
  const photo = await createImageBitmap(file).catch(() => null);
  const isSent = !photo || (scaleOf(photo) === 1 && SENT_AS_THEY_ARE.includes(file.type));
  return { blob: isSent ? file : await redraw(photo), photo };
}

function scaleOf(photo) {
  return Math.min(1, LONGEST_SIDE / Math.max(photo.width, photo.height));
}

// Returns a JPEG of a photo as it is shown here, at most so large as it is sent.
function redraw(image) {
  const scale = scaleOf(image);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}

// Returns what the server makes of a file, and its mask.
async function predict(blob) {
  const body = JSON.stringify({ instances: [{ b64: await toBase64(blob) }] });
  const headers = { "Content-Type": "application/json" };
  const { predictions } = await ask(`v1/models/${model.name}:predict`, { method: "POST", headers, body });
  const [{ mask_png_bytes: { b64 }, class_shares: fractions }] = predictions;
  const bytes = Uint8Array.from(atob(b64), (letter) => letter.charCodeAt(0));
  const png = new Blob([bytes], { type: "image/png" });
  return { fractions, png, mask: await createImageBitmap(png, { colorSpaceConversion: "none" }) };
}

// Returns whether a mask is as large as the photo, or as what was sent of it.
function fits(mask, photo) {
  const scale = scaleOf(photo);
  return ["width", "height"].every((side) => mask[side] === Math.max(1, Math.round(photo[side] * scale)));
}

async function segment(file) {
  const number = ++latest;
  showError("");
  at("result").hidden = true;
  say("Segmenting …", true);
  try {
    model ??= await loadModel();
    const { blob, photo } = await prepare(file);
    let answer = await predict(blob);
    // This browser turns the file otherwise than the server: both get it as it is shown here.
    if (photo && !fits(answer.mask, photo)) answer = await predict(await redraw(photo));
    if (number === latest) await show(file, photo, answer);
  } catch (error) {
    if (number !== latest) return;
    say("");
    showError(error.message.replace(/^image_bytes\[0\] /, `${file.name || "The photo"} `));
  }
}

async function show(file, photo, { fractions, png, mask }) {
  const { width, height } = mask;
  for (const id of ["photo", "overlay"]) Object.assign(at(id), { width, height });
  at("photo").getContext("2d").drawImage(photo ?? mask, 0, 0, width, height);
  const ids = paint(at("overlay"), mask);
  listClasses(fractions);
  const isReduced = photo && photo.width * photo.height > width * height && "CompressionStream" in window;
  const download = isReduced ? await encodeGrey(resizeIds(ids, mask, photo), photo) : png;
  const sizes = [mask, photo ?? mask].map((one) => `${one.width} x ${one.height}`);
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

// Draws a mask, whose pixels are class ids, in the classes' colours; the background stays as it is. Returns the ids.
function paint(canvas, mask) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const ids = new Uint8Array(image.data.length / 4);
  for (let i = 0; i < image.data.length; i += 4) {
    const id = (ids[i / 4] = image.data[i]);
    image.data.set(id === model.background ? [0, 0, 0, 0] : model.colors[id], i);
  }
  context.putImageData(image, 0, 0);
  return ids;
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
loadModel().then((found) => { model = found; }, (error) => showError(error.message));
