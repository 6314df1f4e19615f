// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How long loading, encoding and a box take with each number of threads, in turns, and the processor time of all threads
// together, which a busy machine changes less: measure.js PACKAGE BUNDLE [ROUNDS [THREADS...]]; medians.
import { readFile, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [, , folder, bundle, rounds = "5", ...given] = process.argv;
const { Engine } = await import(pathToFileURL(join(resolve(folder), "index.js")).href);
const names = await readdir(bundle);
const files = new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(bundle, name))])));

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const counts = given.length > 0 ? given.map(Number) : [1, 2];
const times = new Map(counts.map((count) => [count, { load: [], encode: [], box: [] }]));
const processor = new Map(counts.map((count) => [count, { load: [], encode: [], box: [] }]));

async function measure(threads, round) {
  const timed = async (name, call) => {
    const used = process.cpuUsage(), begin = performance.now();
    const result = await call();
    times.get(threads)[name].push(performance.now() - begin);
    const { user, system } = process.cpuUsage(used);
    processor.get(threads)[name].push((user + system) / 1000);
    return result;
  };
  const engine = await timed("load", () => Engine.load(files, { threads }));
  if (engine.info.threads !== threads) throw new Error(`${threads} threads were asked for, ${engine.info.threads} are there`);
  const data = Uint8Array.from({ length: 512 * 512 }, (_, i) => (i * 7 + round + (i >> 9) * 3) & 255);
  const embedding = await timed("encode", () => engine.encode({ data, height: 512, width: 512 }));
  // Large enough that the profile looks at no window of the image.
  const prediction = await timed("box", () => engine.predict(embedding, { box: [40, 40, 460, 450] }));
  prediction.close();
  embedding.close();
  engine.close();
}

for (let round = 0; round < Number(rounds); ++round) {
  for (const count of counts) await measure(count, round);
}
for (const [count, steps] of times) {
  for (const [name, values] of Object.entries(steps)) {
    const range = `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
    console.log(`${count} threads: ${name} ${median(values).toFixed(0)} ms (${range}), processor ${median(processor.get(count)[name]).toFixed(0)} ms`);
  }
}
console.log(`node ${process.version}, resident ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`);
