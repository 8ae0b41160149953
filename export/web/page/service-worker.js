// Answers the page's requests from a store: it starts without a network, and never with files of two exports.
// The export writes VERSION, POLICY and FILES, digests by path, above this line.

const PAGE = new URL(`${VERSION}/index.html`, registration.scope).href; // where the store has this export's page
const OWN = Object.keys(FILES).filter((path) => path === "index.html" || path.startsWith(`${VERSION}/`));
const KINDS = { html: "text/html; charset=utf-8", css: "text/css", js: "text/javascript", json: "application/json" };

const addressOf = (path) => (path === "index.html" ? PAGE : new URL(path, registration.scope).href);
const ADDRESSES = new Set(Object.keys(FILES).map(addressOf));
const openStore = () => caches.open(`keras_fcn ${registration.scope}`);

// Keeps the page's own files; the network's are kept by the page, which shows how far it is.
async function install() {
  const store = await openStore();
  const contents = await Promise.all(OWN.map((path) => loaded(path)));
  await Promise.all(OWN.map((path, index) => store.put(addressOf(path), new Response(contents[index]))));
}

async function loaded(path) {
  const answer = await fetch(new URL(path, registration.scope), { cache: path === "index.html" ? "reload" : "default" });
  const content = await answer.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== FILES[path]) throw new Error(`${path} is not of this export`);
  return content;
}

// Forgets what is of earlier exports alone.
async function activate() {
  const store = await openStore();
  const others = (await store.keys()).filter(({ url }) => !ADDRESSES.has(url));
  await Promise.all(others.map((one) => store.delete(one)));
  await clients.claim();
}

// Returns the address of a request's file in the store; null if it is none of this export's.
function wanted({ url, method }) {
  const address = new URL(url);
  address.search = address.hash = "";
  if (method !== "GET") return null;
  if ([registration.scope, new URL("index.html", registration.scope).href].includes(address.href)) return PAGE;
  return ADDRESSES.has(address.href) ? address.href : null;
}

async function answered(address) {
  const kept = await (await openStore()).match(address);
  const { body, status, ok } = kept ?? (await fetch(address === PAGE ? new URL("index.html", registration.scope) : address));
  if (!ok) return new Response(body, { status });
  const kind = KINDS[address.split(".").pop()] ?? "application/octet-stream";
  const headers = {
    "Content-Type": kind,
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin", // with the next one, browsers lend memory that threads share
    "Cross-Origin-Embedder-Policy": "require-corp",
  };
  return new Response(body, { status, headers });
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", ({ data }) => {
  if (data === "start") self.skipWaiting();
});
self.addEventListener("fetch", (event) => {
  const address = wanted(event.request);
  if (address) event.respondWith(answered(address));
});
