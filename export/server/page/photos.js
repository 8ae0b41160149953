// What is done to a photo before a model sees it.

const LONGEST_SIDE = 1600; // pixels; larger photos are reduced

export function scaleOf(photo) {
  return Math.min(1, LONGEST_SIDE / Math.max(photo.width, photo.height));
}

// Returns the size of a photo once it is reduced.
export function reducedSize(photo) {
  const [width, height] = [photo.width, photo.height].map((side) => Math.max(1, Math.round(side * scaleOf(photo))));
  return { width, height };
}

// Returns a canvas with a photo as it is shown here, reduced.
export function reduced(photo) {
  const canvas = Object.assign(document.createElement("canvas"), reducedSize(photo));
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(photo, 0, 0, canvas.width, canvas.height);
  return canvas;
}
