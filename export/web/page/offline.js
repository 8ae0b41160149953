// The service worker, with which the page starts without a network and may compute with several threads.

const ROOT = new URL("../", import.meta.url);

// Starts it where the browser allows one; pages from https:// and localhost only. It may load the page again: under a
// service worker that has just started, or under a newer one that waits for it, with that one's files.
export async function startOffline() {
  const registration = await navigator.serviceWorker?.register(new URL("service-worker.js", ROOT)).catch(() => null);
  if (!registration) return;
  const next = registration.waiting ?? (registration.active ? null : registration.installing);
  if (!next || !isFirstTime(registration.active ? "newer" : "first")) return;
  next.postMessage("start");
  if (!(await isStarted(next))) return;
  location.reload();
  await new Promise(() => {});
}

function isStarted(next) {
  return new Promise((resolve) => {
    const look = () => {
      if (next.state === "activated") resolve(true);
      if (next.state === "redundant") resolve(false);
    };
    next.addEventListener("statechange", look);
    look();
  });
}

// Returns whether this page was not loaded again for that reason before, lest it be so for ever.
function isFirstTime(reason) {
  const key = `${reason} ${import.meta.url}`;
  try {
    const isFirst = !sessionStorage.getItem(key);
    sessionStorage.setItem(key, "loaded");
    return isFirst;
  } catch {
    return false;
  }
}
