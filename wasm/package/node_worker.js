// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A worker of node, as emscripten's script for workers of a page expects it.
import { parentPort } from "node:worker_threads";

globalThis.self = globalThis;
globalThis.postMessage = (message) => parentPort.postMessage(message);
await import("./medsam_engine_threads.worker.js");
parentPort.on("message", (data) => globalThis.onmessage({ data }));
