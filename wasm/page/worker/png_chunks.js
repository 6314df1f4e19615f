// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the decoder of PNG does not look at (fast-png 8.0.0): whether the chunks are those of one still picture, in their order
// (PNG specification, 5.6), and whether its data are whole.
const SIGNATURE = 8;
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // by color type
const INDEXED = 3;
const ONCE = ["IHDR", "PLTE", "tRNS"];
// First column and row of each pass of Adam7, and the steps between its pixels.
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

function* chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE; ; ) {
    if (at + 12 > bytes.length) throw new Error("it is cut off");
    const length = view.getUint32(at), type = String.fromCharCode(...bytes.subarray(at + 4, at + 8)), end = at + 12 + length;
    if (end > bytes.length) throw new Error("it is cut off");
    yield { type, content: bytes.subarray(at + 8, end - 4) };
    if (type === "IEND") return;
    at = end;
  }
}

// Bytes of the rows, each with its filter before it.
function rawBytes({ width, height, depth, colorType, interlaced }) {
  const bits = depth * SAMPLES[colorType];
  const size = (wide, high) => (wide > 0 && high > 0 ? high * (1 + Math.ceil((wide * bits) / 8)) : 0);
  if (!interlaced) return size(width, height);
  return PASSES.reduce((sum, [x, y, across, down]) => sum + size(Math.ceil((width - x) / across), Math.ceil((height - y) / down)), 0);
}

// Unpacks for the checksum and the length alone: nothing is kept, and no more is unpacked than there has to be.
async function checkData(parts, wanted) {
  const unpacked = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let count = 0;
  for (;;) {
    const { done, value } = await unpacked.read().catch((error) => { throw new Error(`its compressed data are damaged (${error.message})`); });
    if (done) break;
    count += value.length;
    if (count > wanted) break;
  }
  if (count !== wanted) throw new Error(`its rows have ${count < wanted ? count : `more than ${wanted}`} bytes, expected ${wanted} by its size`);
}

// Throws what is wrong, for the end of a sentence. Returns whether pixels are indices of a palette.
export async function checkPng(bytes) {
  const data = [], seen = new Map();
  let header = null, last = "";
  for (const { type, content } of chunks(bytes)) {
    if (!header && (type !== "IHDR" || content.length !== 13)) throw new Error("it does not begin with its header");
    if (type === "acTL") throw new Error("it is an animation; save the picture that you need");
    seen.set(type, (seen.get(type) ?? 0) + 1);
    if (ONCE.includes(type) && seen.get(type) > 1) throw new Error(`it has two parts ${type}`);
    if (ONCE.includes(type) && data.length) throw new Error(`its part ${type} lies behind its pixels`);
    if (type === "IHDR") {
      const view = new DataView(content.buffer, content.byteOffset);
      header = { width: view.getUint32(0), height: view.getUint32(4), depth: content[8], colorType: content[9], interlaced: content[12] === 1 };
    } else if (type === "IDAT") {
      if (data.length && last !== "IDAT") throw new Error("its pixels lie in two places");
      data.push(content);
    }
    last = type;
  }
  const { width, height, colorType, depth, interlaced } = header, indexed = colorType === INDEXED;
  if (!(colorType in SAMPLES) || width < 1 || height < 1) throw new Error(`it has ${width} x ${height} pixels of type ${colorType}`);
  if (indexed && !seen.has("PLTE")) throw new Error("it has no palette for its indices");
  if (interlaced && depth < 8) throw new Error("it is interlaced with less than 8 bits, which is not read here; save it without interlacing");
  await checkData(data, rawBytes(header));
  return indexed;
}
