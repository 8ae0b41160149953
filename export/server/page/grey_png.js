// Grey PNG files of class ids, as the server's masks are: a canvas writes colours only.

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

function chunk(kind, content) {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = kind.charCodeAt(i);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

// Returns ids of another size by nearest neighbour: centres of pixels lie over each other.
export function resizeIds(ids, { width, height }, to) {
  const columns = Uint32Array.from({ length: to.width }, (_, x) => Math.floor(((x + 0.5) * width) / to.width));
  const resized = new Uint8Array(to.width * to.height);
  for (let y = 0; y < to.height; y++) {
    const start = width * Math.floor(((y + 0.5) * height) / to.height);
    for (let x = 0; x < to.width; x++) resized[y * to.width + x] = ids[start + columns[x]];
  }
  return resized;
}

// Returns an 8-bit grey PNG of ids, as a blob.
export async function encodeGrey(ids, { width, height }) {
  const rows = new Uint8Array(height * (width + 1)); // each begins with its filter: 0, none
  for (let y = 0; y < height; y++) rows.set(ids.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const deflated = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const pixels = new Uint8Array(await new Response(deflated).arrayBuffer());
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  view.setUint8(8, 8); // bits; the colour type is 0, grey
  const parts = [SIGNATURE, chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", new Uint8Array(0))];
  return new Blob(parts, { type: "image/png" });
}
