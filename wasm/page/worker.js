// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine, beside the page, so that the page never stands still.
import { Engine } from "./package/index.js";

let engine, embedding;

const calls = {
  async load({ bundle }) {
    engine = await Engine.fetch(new URL(bundle, self.location.href));
    return engine.info;
  },
  encode(image) {
    embedding?.close();
    embedding = engine.encode(image);
    return {};
  },
  segment({ box }) {
    return engine.segment(embedding, [box]);
  },
};

self.onmessage = async ({ data: { id, call, value } }) => {
  const begin = performance.now();
  try {
    const result = await calls[call](value);
    self.postMessage({ id, result, milliseconds: performance.now() - begin });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
