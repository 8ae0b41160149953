// The worker that computes the network, beside the page, which stays responsive.

let ort = null;
let session = null;

const LEAST_AGREEMENT = 0.99; // of pixels: at others, two classes are about equally probable

// Starts the network, and has it compute an image whose ids the export knows: drivers of graphics cards have faults.
async function open({ kind, threads, script, wasm, model, check }) {
  ort = await import(script);
  Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: threads });
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: [kind], logSeverityLevel: 3 });
  const expected = bytesOf(check.ids);
  const found = await run(bytesOf(check.rgb), check.width, check.height);
  const same = expected.filter((id, pixel) => id === found[pixel]).length / expected.length;
  if (same < LEAST_AGREEMENT) throw new Error(`This browser computes other classes in ${Math.round(100 - 100 * same)}% of pixels.`);
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

// Returns class ids for the RGB of height x width pixels.
async function run(rgb, width, height) {
  const images = new ort.Tensor("uint8", rgb, [1, height, width, 3]);
  const output = session.outputNames.includes("classes") ? "classes" : session.outputNames[0];
  const { [output]: ids } = await session.run({ [session.inputNames[0]]: images }, [output]);
  return ids.data;
}

async function segment({ width, height, data }) {
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  const ids = Uint8Array.from(await run(rgb, width, height));
  const counts = new Array(256).fill(0);
  for (const id of ids) counts[id]++;
  return { ids, fractions: counts.map((count) => count / ids.length) };
}

self.onmessage = async ({ data }) => {
  try {
    const answer = data.open ? await open(data.open) : await segment(data.segment);
    self.postMessage({ ...answer }, answer ? [answer.ids.buffer] : []);
  } catch (error) {
    self.postMessage({ error: reasonOf(error) });
  }
};

function reasonOf(error) {
  const text = String(error?.message ?? error);
  const isMemory = typeof error === "number" || /memory|alloc|RangeError|out of bounds/i.test(text);
  return isMemory ? "This device's memory does not suffice for the photo. Choose a smaller one." : text;
}
