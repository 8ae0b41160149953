// The model behind the page, which this device computes: photos do not leave it.

import { download, forbidRequests } from "./download.js";
import { startOffline } from "./offline.js";
import { reduced, scaleOf } from "./photos.js";
import { hasAlpha, pixelsOf, rawPixelsOf } from "./pixels.js";

export const PROMISE = "It stays on this device: the network runs here, in your browser.";

const MOST_THREADS = 4;
// Neither colour profiles nor transparency change the values that the file holds.
const AS_STORED = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

let worker = null;
let pending = null; // the functions that end the question to the worker

// Returns a title, and the classes' names and colours.
export async function openModel(say) {
  say("Starting …", true);
  await startOffline();
  const contents = await (await fetch(new URL("contents.json", import.meta.url))).json();
  const kind = await engineOf();
  const { script, binary } = contents.engines[kind];
  const [, wasm, model] = await download([script, binary, contents.model], say);
  forbidRequests();
  say("Starting the network …", true);
  worker = start();
  const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency ?? 1) : 1;
  try {
    await ask({ open: { kind, threads, script: script.url, wasm, model, check: contents.check } }, [wasm, model]);
  } catch (error) {
    if (kind === "webgpu") return withoutGraphics();
    throw error;
  }
  const { name, names, colors } = contents;
  const where = kind === "webgpu" ? "graphics card" : "processor";
  return { title: `${name}, ${names.length} classes, computed by this device's ${where}`, names, colors };
}

// Returns the photo with the ids of its pixels, perhaps reduced, their width and height, and the fraction of each class.
export async function segmentPhoto(file) {
  const photo = await createImageBitmap(file, AS_STORED).catch(() => null);
  if (!photo) throw new Error(`${file.name || "The photo"} is no picture that this browser can decode.`);
  let pixels = pixelsOf(reduced(photo));
  if (hasAlpha(pixels) && scaleOf(photo) === 1) pixels = rawPixelsOf(photo) ?? pixels;
  const { width, height, data } = pixels;
  const { ids, fractions } = await ask({ segment: { width, height, data } }, [data.buffer]);
  return { photo, ids, width, height, fractions };
}

// Returns "webgpu" where there is a graphics card, else "wasm"; the page's address may name one: ?engine=wasm.
async function engineOf() {
  const named = new URLSearchParams(location.search).get("engine");
  if (["webgpu", "wasm"].includes(named)) return named;
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter && !adapter.info?.isFallbackAdapter ? "webgpu" : "wasm";
}

// Starts this page again, to compute on the processor.
function withoutGraphics() {
  const url = new URL(location.href);
  url.searchParams.set("engine", "wasm");
  location.replace(url);
  return new Promise(() => {});
}

// Starts the worker, by an address of this page's own: it then has the page's policy, and may ask for nothing either.
function start() {
  const code = `import ${JSON.stringify(new URL("computing.js", import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const started = new Worker(url, { type: "module" });
  started.onmessage = ({ data: { error, ...answer } }) => {
    if (error) pending?.reject(new Error(error));
    else pending?.resolve(answer);
  };
  started.onerror = ({ message }) => pending?.reject(new Error(`The network cannot be started: ${message ?? "no script"}`));
  return started;
}

let queue = Promise.resolve();

// Asks the worker; one question at a time.
function ask(question, transferred) {
  const asked = () =>
    new Promise((resolve, reject) => {
      pending = { resolve, reject };
      worker.postMessage(question, transferred);
    });
  const answer = queue.then(asked);
  queue = answer.catch(() => {});
  return answer;
}
