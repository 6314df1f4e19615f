// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// ?bundle=ADDRESS names another bundle than ./bundle/.
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const status = document.querySelector("#status"), view = document.querySelector("#view"), file = document.querySelector("#file");
const pen = view.getContext("2d", { willReadFrequently: true });

const waiting = new Map();
let asked = 0;
worker.onmessage = ({ data }) => {
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error === undefined) resolve(data);
  else reject(new Error(data.error));
};

function ask(call, value) {
  return new Promise((resolve, reject) => {
    waiting.set(++asked, { resolve, reject });
    worker.postMessage({ id: asked, call, value });
  });
}

// What the last of each step answered, for tests: window.medsam.
const medsam = (window.medsam = { times: {}, labels: null, error: null });

async function step(name, text, call, value) {
  status.textContent = text;
  try {
    const { result, milliseconds } = await ask(call, value);
    medsam.times[name] = milliseconds;
    return result;
  } catch (error) {
    medsam.error = error.message;
    status.textContent = error.message;
    return null;
  }
}

let picture = null, ready = false, opened = 0;
const loaded = step("load", "Loading the model...", "load", { bundle: new URLSearchParams(location.search).get("bundle") ?? "bundle/" });
loaded.then((info) => info && (status.textContent = `${info.family} is loaded. Open a picture.`));

file.onchange = async () => {
  const mine = ++opened; // what comes back for a picture is for it alone: another one may have been opened meanwhile
  ready = false;
  let bitmap;
  try {
    // As the file has them: neither color profiles nor transparency change the samples.
    bitmap = await createImageBitmap(file.files[0], { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    status.textContent = `${file.files[0].name} is no picture that this browser can read; use a PNG`;
    return;
  }
  if (mine !== opened) return;
  view.width = bitmap.width;
  view.height = bitmap.height;
  pen.drawImage(bitmap, 0, 0);
  picture = pen.getImageData(0, 0, view.width, view.height);
  const data = new Uint8Array(3 * view.width * view.height);
  for (let i = 0; i < view.width * view.height; ++i) data.set(picture.data.subarray(4 * i, 4 * i + 3), 3 * i);
  if (!(await loaded) || mine !== opened) return;
  const done = await step("encode", "Looking at the picture...", "encode", { data, height: view.height, width: view.width, channels: 3 });
  if (!done || mine !== opened) return;
  ready = true;
  status.textContent = `Ready after ${(medsam.times.encode / 1000).toFixed(1)} s. Drag a box round an object.`;
};

function show(labels, box) {
  const shown = new ImageData(new Uint8ClampedArray(picture.data), view.width, view.height);
  for (let i = 0; labels && i < labels.length; ++i) {
    if (labels[i] === 0) continue;
    shown.data[4 * i] = 0.5 * shown.data[4 * i] + 127;
    shown.data[4 * i + 1] *= 0.7;
    shown.data[4 * i + 2] *= 0.5;
  }
  pen.putImageData(shown, 0, 0);
  pen.strokeStyle = "#4fc3f7";
  pen.lineWidth = Math.max(1, view.width / 400);
  if (box) pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
}

// The pixel under the pointer.
function place(event) {
  const at = view.getBoundingClientRect();
  const clamp = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
  return [clamp(((event.clientX - at.left) * view.width) / at.width, view.width), clamp(((event.clientY - at.top) * view.height) / at.height, view.height)];
}

async function answer(box) {
  const mine = opened;
  medsam.box = box;
  const done = await step("box", "Segmenting...", "segment", { box });
  if (!done || mine !== opened) return;
  medsam.labels = done.labels;
  show(done.labels, box);
  status.textContent = `${done.objects[0].area} pixels, ${medsam.times.box.toFixed(0)} ms`;
}
medsam.answer = answer;

let from = null;
const boxTo = (to) => [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
view.onpointerdown = (event) => {
  if (!ready) return;
  from = place(event);
  view.setPointerCapture(event.pointerId);
};
view.onpointermove = (event) => from && show(null, boxTo(place(event)));
view.onpointerup = (event) => {
  if (!from) return;
  const box = boxTo(place(event));
  from = null;
  if (box[2] - box[0] > 2 && box[3] - box[1] > 2) answer(box);
};
