// The files that the network needs: from this browser's store, or once from where the page came from.

const ROOT = new URL("../", import.meta.url); // the folder of index.html

// Returns the contents of files; each gets an absolute address, `url`.
export async function download(files, say) {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let received = 0;
  const store = await openStore();
  const count = (bytes) => {
    received += bytes;
    say(`Loading the network, once: ${megabytes(received)} of ${megabytes(total)} MB`, true);
  };
  for (const file of files) file.url = new URL(file.path, ROOT).href;
  return Promise.all(files.map((file) => load(file, store, count)));
}

async function load(file, store, count) {
  const kept = await store?.match(file.url).catch(() => null);
  if (kept) return kept.arrayBuffer();
  const name = file.path.split("/").pop();
  const answer = await fetch(file.url).catch(() => null);
  if (!answer) throw new Error(`${name} cannot be loaded: there is no network.`);
  if (!answer.ok) throw new Error(`${name} cannot be loaded (status ${answer.status}). Reload the page.`);
  const content = new Uint8Array(file.bytes);
  let end = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) break;
    if (end + value.length <= content.length) content.set(value, end);
    end += value.length;
    count(value.length);
  }
  if (end !== file.bytes || !(await isAsExported(content, file.sha256)))
    throw new Error(`${name} came incomplete or changed: ${end} bytes of ${file.bytes}. Reload the page.`);
  await store?.put(file.url, new Response(content)).catch(() => {}); // a full disk: it works, with a network
  return content.buffer;
}

// Returns whether a content has its digest; browsers compute it on pages from https:// and localhost only.
async function isAsExported(content, sha256) {
  if (!self.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return sha256 === Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Returns the store that the service worker reads; null where browsers have none.
async function openStore() {
  return (await self.caches?.open(`keras_fcn ${ROOT.href}`).catch(() => null)) ?? null;
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

// From here on this page may ask for nothing any more, wherever it came from: no photo can leave it.
export function forbidRequests() {
  const content = "connect-src 'none'; img-src blob: data:; form-action 'none'";
  document.head.append(Object.assign(document.createElement("meta"), { httpEquiv: "Content-Security-Policy", content }));
}
