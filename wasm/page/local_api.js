// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine as the page knows it (api.js has the other one, which asks a server): all of it runs in a worker of this page.
// What this engine lacks is not there: without `sample`, the page has no button for it.
import { say } from "./messages.js";

const PATIENCE = 500; // ms, after which a person is told that something is being computed

export class LocalEngine {
  #worker = started(new URL("worker.js", import.meta.url));
  #waiting = new Map();
  #asked = 0;
  #studies = new Map();

  words = {
    invite: "Drop a NIfTI file, a PNG or JPEG, or a folder of DICOM slices here, or open a file.",
    notice: "Everything stays on this machine: images and masks are in this page alone. Save the masks before you close it.",
    closes: "Forgets the study",
    unsaved: "",
    confirm: "The masks of this study have not been saved as a file and will be lost. Close it all the same?",
  };

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#heard(data);
    this.#worker.onerror = (event) => {
      this.#ended ??= `The page's worker has failed: ${event.message ?? "its files are not all there"}. Reload the page.`;
      for (const { reject } of this.#waiting.values()) reject(new Error(this.#ended));
      this.#waiting.clear();
    };
    addEventListener("beforeunload", (event) => {
      if ([...this.#studies.values()].some(({ saved, steps }) => steps || !saved)) event.preventDefault();
    });
    const bundle = new URLSearchParams(location.search).get("bundle") ?? "bundle/";
    this.loaded = this.call("load", { bundle: new URL(bundle, location.href).href });
    this.loaded.catch(() => {}); // told by whoever waits for it
  }

  #ended = null;

  #heard({ id, result, error, event, value, study }) {
    if (event === "loading") return void say(value);
    if (event) return void this.#studies.get(study)?.told(event, value);
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  }

  // How many calls have no answer yet.
  get busy() { return this.#waiting.size; }

  call(method, value) {
    if (this.#ended) return Promise.reject(new Error(this.#ended));
    return new Promise((resolve, reject) => {
      this.#waiting.set(++this.#asked, { resolve, reject });
      this.#worker.postMessage({ id: this.#asked, method, value });
    });
  }

  async state() {
    await this.loaded;
    return this.call("state");
  }

  study(id) {
    if (!this.#studies.has(id)) this.#studies.set(id, new StudyEvents());
    return new LocalStudy(this, id, this.#studies.get(id));
  }

  forget(id) { this.#studies.delete(id); }

  async upload(files, name) {
    await this.loaded;
    return this.call("open", { files, name });
  }
}

// A worker that begins from a blob has the page's content security policy; one that begins from a file would have none, and
// might ask other servers.
function started(script) {
  const begin = URL.createObjectURL(new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" }));
  return new Worker(begin, { type: "module" });
}

// Those who listen to a study, and what they have to know when they begin to.
class StudyEvents {
  saved = true;
  steps = 0; // that have no answer yet
  #last = new Map();
  #listeners = new Set();

  told(name, value) {
    if (name !== "grown") this.#last.set(name, value);
    if (name === "saved") this.saved = value.saved;
    for (const told of this.#listeners) told(name, value);
  }

  listen(told) {
    for (const [name, value] of this.#last) told(name, value);
    this.#listeners.add(told);
    return () => this.#listeners.delete(told);
  }
}

// One study of the engine, as HttpStudy is one of a server's.
class LocalStudy {
  #engine;
  #events;
  #running = null; // of the propagation: the address that its worker looks up; one that is revoked says stop

  constructor(engine, id, events) {
    this.#engine = engine;
    this.#events = events;
    this.id = id;
    Object.freeze(this);
  }

  #call(method, value) { return this.#engine.call("study", { id: this.id, method, value }); }

  async #step(method, value) {
    this.#events.steps++;
    const slow = setTimeout(() => say("Looking at the slice. The first step on each takes some seconds."), PATIENCE);
    try {
      const reply = await this.#call(method, value);
      const { revision, saved, encoding } = reply;
      for (const [name, told] of [["encoding", encoding], ["revision", { revision }], ["saved", { saved }]]) this.#events.told(name, told);
      return reply;
    } finally {
      clearTimeout(slow);
      this.#events.steps--;
      if (method === "propagate") this.#events.told("propagation", null);
    }
  }

  async describe() {
    const study = await this.#call("describe");
    this.#events.told("encoding", study.encoding);
    return study;
  }
  volume() { return this.#call("volume"); }
  masks() { return this.#call("masks"); }
  prompt(prompt) { return this.#step("prompt", prompt); }

  // Null at once while the worker computes, as the server answers.
  preview(asked) { return this.#engine.busy ? Promise.resolve({ runs: null }) : this.#call("preview", asked); }

  async propagate(asked) {
    this.#running = URL.createObjectURL(new Blob(["go on"]));
    try { return await this.#step("propagate", { ...asked, going: this.#running }); } finally { await this.cancel(); }
  }

  async cancel() {
    if (this.#running) URL.revokeObjectURL(this.#running);
    this.#running = null;
  }

  undo() { return this.#step("undo"); }
  redo() { return this.#step("redo"); }
  change(key, change) { return this.#step("change", { key, change }); }
  remove(key) { return this.#step("remove", { key }); }

  async save(format) {
    const saved = await this.#call("save", { format });
    this.#events.told("saved", { saved: true });
    return saved;
  }

  async close() {
    await this.cancel();
    await this.#engine.call("close", { id: this.id });
    this.#engine.forget(this.id);
  }

  events(told) { return this.#events.listen(told); }
}
