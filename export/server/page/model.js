// The model behind the page, which the server has: photos are sent to it as any client sends them.

import { reduced, reducedSize, scaleOf } from "./photos.js";

const SENT_AS_THEY_ARE = ["image/jpeg", "image/png"];

export const PROMISE = "It goes to this server only, and is not kept.";

let name = "";

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

// Returns a title, and the classes' names and colours.
export async function openModel() {
  [name] = (await ask("v1/models")).models;
  const { parameters, versions } = await ask(`v2/models/${name}`);
  const names = parameters.class_names;
  const title = `${name}, version ${versions[0]}, ${names.length} classes`;
  return { title, names, colors: parameters.class_colors };
}

// Returns the photo, or its mask if this browser cannot decode it, with the ids of its pixels, perhaps reduced, their
// width and height, the fraction of each class, and the ids as a PNG.
export async function segmentPhoto(file) {
  try {
    const { blob, photo } = await prepare(file);
    let answer = await predict(blob);
    // This browser turns the file otherwise than the server: both get it as it is shown here.
    if (photo && !fits(answer.mask, photo)) answer = await predict(await toJpeg(photo));
    const { mask, fractions, png } = answer;
    return { photo: photo ?? mask, ids: idsOf(mask), width: mask.width, height: mask.height, fractions, png };
  } catch (error) {
    throw new Error(error.message.replace(/^image_bytes\[0\] /, `${file.name || "The photo"} `));
  }
}

// Returns the blob to send and the photo, or null if this browser cannot decode it: the server then names the fault.
async function prepare(file) {
  const photo = await createImageBitmap(file).catch(() => null);
  const isSent = !photo || (scaleOf(photo) === 1 && SENT_AS_THEY_ARE.includes(file.type));
  return { blob: isSent ? file : await toJpeg(photo), photo };
}

function toJpeg(photo) {
  return new Promise((resolve) => reduced(photo).toBlob(resolve, "image/jpeg", 0.95));
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
}

// Returns what the server makes of a file, and its mask.
async function predict(blob) {
  const body = JSON.stringify({ instances: [{ b64: await toBase64(blob) }] });
  const headers = { "Content-Type": "application/json" };
  const { predictions } = await ask(`v1/models/${name}:predict`, { method: "POST", headers, body });
  const [{ mask_png_bytes: { b64 }, class_shares: fractions }] = predictions;
  const bytes = Uint8Array.from(atob(b64), (letter) => letter.charCodeAt(0));
  const png = new Blob([bytes], { type: "image/png" });
  return { fractions, png, mask: await createImageBitmap(png, { colorSpaceConversion: "none" }) };
}

// Returns whether a mask is as large as the photo, or as what was sent of it.
function fits(mask, photo) {
  const { width, height } = reducedSize(photo);
  return mask.width === width && mask.height === height;
}

// Returns the pixels of a grey picture.
function idsOf(mask) {
  const canvas = Object.assign(document.createElement("canvas"), { width: mask.width, height: mask.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0);
  const { data } = context.getImageData(0, 0, mask.width, mask.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, pixel) => data[4 * pixel]);
}
