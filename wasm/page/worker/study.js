// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A study as the page works on it: what python/medsam_engine/serve/api/open_study.py is on the server, over a Session here.
// Replies have the form of docs/serve_api.md.
import { bytesOf, runsOf } from "../../../python/medsam_engine/serve/page/masks.js";
import { exported, formatsOf } from "./export.js";
import { grownBox, overlap } from "./boxes.js";
import { labelColor, objectName } from "./object_labels.js";

const OBJECTS = 1000;
// DICOM's Modality, as the engine names it (medsam_engine.io.modalities).
const MODALITIES = {
  CT: "CT", MR: "MR", PT: "PET", US: "US", IVUS: "US", CR: "XRay", DX: "XRay", RF: "XRay", XA: "XRay", IO: "XRay", PX: "XRay",
  MG: "Mammography", DMS: "Dermoscopy", ES: "Endoscopy", OP: "Fundus", OPT: "OCT", OCT: "OCT", GM: "Microscopy", SM: "Microscopy",
};

export class Study {
  #session;
  #revision = 0;
  #saved = true;
  #names = new Map();
  #colors = new Map();
  #window;
  #tell;

  // `tell(event, value, study)` tells the page what happens while a call runs.
  constructor(engine, image, name, id, tell) {
    if (image.color && image.shape.length === 3) throw new Error(`image: got a volume of colors in ${name}, expected gray values; convert it, or open one slice as a picture`);
    Object.assign(this, { image, name, id });
    this.#tell = tell;
    const [depth, height, width] = image.shape.length === 3 ? image.shape : [1, ...image.shape];
    this.size = { depth, height, width };
    const volume = { data: image.values, depth, height, width, channels: image.color ? 3 : 1 };
    const { modality, hounsfield, padding } = image;
    const shown = image.picture
      ? { data: image.values, unchanged: true }
      : engine.windowed(volume, { modality, hounsfield, padding: padding?.some(Boolean) ? padding : undefined });
    this.#window = shownWindow(shown, image.values);
    if (!shown.unchanged) image.notes.push(`window: ${+this.#window.low.toPrecision(5)} to ${+this.#window.high.toPrecision(5)}`);
    const spacing = image.shape.length === 3 ? image.spacing : [image.spacing[0], image.spacing[1], 1];
    this.#session = engine.session({ ...volume, data: shown.data }, { spacing, modality: MODALITIES[modality] ?? "" });
  }

  close() { this.#session.close(); }

  // What the page has to know to show the study; its masks come separately.
  describe() {
    const { image } = this;
    return {
      id: this.id,
      name: this.name,
      shape: image.shape,
      color: image.color,
      type: { Uint8Array: "uint8", Int16Array: "int16", Uint16Array: image.color ? "uint8" : "uint16", Float32Array: "float32" }[image.values.constructor.name],
      spacing: image.spacing,
      spaced: image.spaced,
      affine: image.positioned ? image.affine : null,
      modality: image.modality || null,
      window: this.#window,
      notes: image.notes,
      resumed: false,
      formats: formatsOf(image),
      ...this.#standing(),
    };
  }

  // A copy: it goes to the page.
  volume() {
    const { values, color } = this.image;
    if (color && values instanceof Uint16Array) return Uint8Array.from(values, (value) => Math.round((value * 255) / 65535)).buffer;
    return values.slice().buffer;
  }

  #standing(objects = this.#session.objects()) {
    return {
      revision: this.#revision,
      saved: this.#saved,
      ...this.#session.steps(),
      encoding: { ...this.#session.encoding(), idle: true },
      objects: objects.map((item) => ({
        key: item.name,
        name: this.#names.get(item.name) ?? item.name,
        color: this.#color(item.name),
        locked: item.locked,
        voxels: item.voxels,
        ml: this.#milliliters(item.voxels),
        box: item.voxels ? item.box : null,
        prompts: item.prompts,
      })),
    };
  }

  // A key that is new gets the next color, and keeps it.
  #color(key) {
    if (!this.#colors.has(key)) this.#colors.set(key, labelColor(this.#colors.size + 1));
    return this.#colors.get(key);
  }

  #milliliters(voxels) {
    const { shape, spaced, spacing } = this.image;
    return shape.length === 3 && spaced ? (voxels * spacing[0] * spacing[1] * spacing[2]) / 1000 : null;
  }

  #mask(key, box) { return { object: key, box, runs: runsOf(this.#session.mask(key, box)) }; }

  masks() {
    const standing = this.#standing();
    return { ...standing, masks: standing.objects.filter(({ box }) => box).map(({ key, box }) => this.#mask(key, box)) };
  }

  // `change` returns the box of the changed voxels; `only` is the one object whose mask it can change.
  #step(change, only) {
    const before = new Map(this.#session.objects().map((item) => [item.name, item.voxels ? item.box : null]));
    const found = change(this.#session);
    const changed = found && found[3] >= found[0] ? found : null;
    this.#revision++;
    const objects = this.#session.objects();
    this.#saved = objects.length === 0;
    const masks = objects
      .filter((item) => changed && (only === undefined || only === item.name))
      .filter((item) => overlap(changed, item.voxels ? item.box : null) || overlap(changed, before.get(item.name)))
      .map((item) => this.#mask(item.name, changed));
    return { ...this.#standing(objects), changed, masks };
  }

  prompt(prompt) {
    const known = this.#session.objects().map(({ name }) => name);
    if (!known.includes(prompt.object) && known.length >= OBJECTS) throw new Error(`object: got one more than ${OBJECTS}, expected at most that many; remove some`);
    return this.#step((session) => {
      const changed = this.#drawn(session, prompt);
      if (!known.includes(prompt.object)) this.#names.delete(prompt.object); // of one that is gone
      return changed;
    }, prompt.object);
  }

  #drawn(session, { kind, object, axis = 0, slice, ...prompt }) {
    const plane = { axis, index: slice ?? 0 };
    if (kind === "box") return session.addBox(object, prompt.box, plane);
    if (kind === "click") return session.addClick(object, prompt.point, { positive: prompt.positive ?? true, plane });
    if (kind === "scribble") return session.addScribble(object, prompt.line, { positive: prompt.positive ?? true, plane });
    if (kind === "lasso") return session.addLasso(object, prompt.outline, { plane });
    if (kind === "paint") return session.addMask(object, this.#painted(session, object, prompt));
    throw new Error(`kind: got ${kind}, expected box, click, scribble, lasso or paint`);
  }

  #painted(session, object, { box: [x0, y0, z0, x1, y1, z1], runs, erase }) {
    const { depth, height, width } = this.size;
    if (!(0 <= x0 && x0 <= x1 && x1 < width && 0 <= y0 && y0 <= y1 && y1 < height && 0 <= z0 && z0 <= z1 && z1 < depth)) throw new Error(`box: got ${[x0, y0, z0, x1, y1, z1]}, expected one inside the image`);
    const wide = x1 - x0 + 1, high = y1 - y0 + 1, size = wide * high * (z1 - z0 + 1);
    if (runs.reduce((sum, run) => sum + run, 0) !== size) throw new Error(`runs: got another sum, expected the box's ${size} voxels`);
    const stroke = bytesOf(runs, size);
    const known = session.objects().some(({ name }) => name === object);
    const mask = known ? session.mask(object) : new Uint8Array(depth * height * width);
    for (let k = 0; k < size; k++) {
      if (!stroke[k]) continue;
      const x = x0 + (k % wide), y = y0 + (Math.floor(k / wide) % high), z = z0 + Math.floor(k / (wide * high));
      mask[(z * height + y) * width + x] = erase ? 0 : 1;
    }
    return mask;
  }

  preview({ point, axis = 0, slice }) {
    const mask = this.#session.previewClick(point, { axis, index: slice ?? 0 });
    return { runs: mask && runsOf(mask) };
  }

  // What was reached is kept when the page stops it; where nothing was yet, the call ends at once.
  propagate({ object, axis = 0, going }) {
    const reached = { done: 0, total: 0, cancelled: false };
    const revision = this.#revision;
    const before = this.#session.objects().find(({ name, voxels }) => name === object && voxels)?.box ?? null;
    const { depth, height, width } = this.size;
    const columns = axis === 2 ? height : width;
    const options = {
      axis,
      progress: (done, total) => {
        Object.assign(reached, { done, total });
        this.#tell("propagation", { object, done, total }, this.id);
      },
      cancelled: () => !reached.done && stopped(going),
      reached: (index, mask) => {
        const box = grownBox(before, axis, index, mask, columns);
        if (box) this.#tell("grown", { revision, mask: { object, box: box.voxels, runs: runsOf(box.part) } }, this.id);
        reached.cancelled = stopped(going);
        return !reached.cancelled;
      },
    };
    this.#tell("propagation", { object, done: 0, total: [depth, height, width][axis] }, this.id);
    return { ...this.#step((session) => session.propagate(object, options), object), reached };
  }

  undo() { return this.#step((session) => session.undo()); }
  redo() { return this.#step((session) => session.redo()); }

  #check(key) {
    if (!this.#session.objects().some(({ name }) => name === key)) throw new Error("object: got an unknown one, expected one of the study's");
  }

  change({ key, change: { name, color, locked } }) {
    this.#check(key);
    const shown = name === undefined ? undefined : objectName(name); // before anything is changed
    if (locked !== undefined) this.#session.lock(key, locked);
    if (shown !== undefined) this.#names.set(key, shown);
    if (color !== undefined) this.#colors.set(key, color);
    this.#revision++;
    this.#saved = false;
    return { ...this.#standing(), changed: null, masks: [] };
  }

  remove({ key }) {
    this.#check(key);
    return this.#step((session) => session.remove(key), key);
  }

  async save({ format }) {
    const objects = this.#session.objects();
    if (!objects.some(({ voxels }) => voxels)) throw new Error("export: got a study without a mask, expected at least one object; draw a box first");
    const labels = this.#session.labels();
    let set = 0;
    for (const label of labels) set += label !== 0;
    const file = await exported(format, labels, this.image, this.name);
    this.#saved = true;
    return { ...file, overlap: objects.reduce((sum, { voxels }) => sum + voxels, 0) - set };
  }
}

// The values that become black and white: the page begins with what the model sees.
function shownWindow({ unchanged, darkest, brightest }, values) {
  let low = darkest, high = brightest;
  if (unchanged && values instanceof Uint8Array) [low, high] = [0, 255];
  else if (unchanged) {
    [low, high] = [Infinity, -Infinity];
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return { low, high: Math.max(high, low + 1e-6) };
}

// Whether the page has revoked the address. Messages are not heard while a call runs; a request that waits is.
function stopped(going) {
  const request = new XMLHttpRequest();
  try {
    request.open("GET", going, false);
    request.send();
    return false;
  } catch {
    return true;
  }
}
