// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The threads of the module that has them: workers, started before they are needed, since a page starts none while a call
// of the module runs. Nothing here is public.
import { IN_NODE } from "./host.js";

const MOST = 64;
const MOST_BY_DEFAULT = 4;

/** What `threads` may be. */
export const NUMBERS_OF_THREADS = `a whole number from 0 to ${MOST}`;

/** Whether memory can be shared with workers here: in node, and in a page that is isolated from other origins. */
function sharesMemory() {
  return typeof SharedArrayBuffer === "function" && (IN_NODE || globalThis.crossOriginIsolated === true);
}

async function cores() {
  if (!IN_NODE) return globalThis.navigator?.hardwareConcurrency ?? 1;
  const os = await import("node:os");
  return os.availableParallelism?.() ?? os.cpus().length;
}

/** How many threads an engine gets, the caller's among them; undefined for what is no such number. */
export async function threadsFor(wanted = 0) {
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > MOST) return undefined;
  if (!sharesMemory()) return 1;
  return wanted > 0 ? wanted : Math.max(1, Math.min(await cores(), MOST_BY_DEFAULT));
}

/** Memory as the module with threads expects it (wasm/CMakeLists.txt). Throws where there is not as much address space. */
export function sharedMemory() {
  return new WebAssembly.Memory({ initial: 2048, maximum: 65536, shared: true });
}

// What emscripten takes for a worker.
async function newWorker() {
  if (!IN_NODE) return new Worker(new URL("./medsam_engine_threads.worker.js", import.meta.url), { type: "module" });
  const { Worker: NodeWorker } = await import("node:worker_threads");
  const worker = new NodeWorker(new URL("./node_worker.js", import.meta.url));
  worker.on("message", (data) => worker.onmessage({ data }));
  worker.on("error", (error) => worker.onerror(error));
  return worker;
}

async function startWorker({ PThread }) {
  const worker = await newWorker();
  try {
    await new Promise((resolve, reject) => {
      PThread.loadWasmModuleToWorker(worker, resolve);
      worker.onerror = (event) => reject(new Error(`a worker does not start: ${event.message ?? "no reason given"}`));
    });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  worker.unref?.(); // it does not keep node running
  return worker;
}

const pools = new Map();

/** Returns when there are workers for engines of this many threads, which share them. Rejects where they do not start. */
export function startThreads(module, threads) {
  if (!pools.has(threads)) {
    const pool = Promise.all(Array.from({ length: threads - 1 }, () => startWorker(module)));
    pools.set(threads, pool.then((workers) => void module.PThread.unusedWorkers.push(...workers)));
  }
  return pools.get(threads);
}
