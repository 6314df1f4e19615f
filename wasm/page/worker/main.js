// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The worker of the static page: the engine, and the studies that are open. One call after another, in the order in which they came.
import { Engine, MedsamError } from "./package/index.js";

import { read } from "./read.js";
import { Study } from "./study.js";
import { bundleFiles } from "./weights.js";

let engine;
const studies = new Map();
let opened = 0;

const tell = (event, value, study) => self.postMessage({ event, value, study });

function known(id) {
  if (!studies.has(id)) throw new Error("study: got an unknown one, expected one that is open; open its image again");
  return studies.get(id);
}

const calls = {
  async load({ bundle }) {
    const files = await bundleFiles(bundle, (text) => tell("loading", text));
    engine = await Engine.load(files);
    return engine.info;
  },

  state() {
    const { version, family, profile, precision, ctWindows } = engine.info;
    return {
      version,
      engine: { family, profile, precision },
      windows: ctWindows,
      studies: [...studies.values()].map(({ id, name, image }) => ({ id, name, shape: image.shape })),
    };
  },

  async open({ files, name }) {
    const image = await read(files, name);
    const id = `local-${++opened}`;
    studies.set(id, new Study(engine, image, name, id, tell));
    return { study: id };
  },

  async study({ id, method, value }) { return known(id)[method](value ?? {}); },

  close({ id }) {
    known(id).close();
    studies.delete(id);
  },
};

function sentence(error) {
  if (error instanceof MedsamError && error.status === "MEDSAM_OUT_OF_MEMORY") return "there is no memory left in this page; close other studies and try again, use a smaller image, or medsam-engine serve";
  if (error instanceof RangeError && /alloc|length|size/i.test(error.message)) return "image: there is no memory for it in this browser; use a smaller one, or medsam-engine serve";
  if (error instanceof MedsamError || error instanceof Error) return error.message;
  return String(error);
}

async function answer({ data: { id, method, value } }) {
  try {
    const result = await calls[method](value);
    self.postMessage({ id, result }, result instanceof ArrayBuffer ? [result] : []);
  } catch (error) {
    self.postMessage({ id, error: sentence(error) });
  }
}

let queue = Promise.resolve();
self.onmessage = (message) => { queue = queue.then(() => answer(message)); };
