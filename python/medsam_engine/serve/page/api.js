// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine as the page knows it. This one asks the server; wasm/page/local_api.js has one that runs in the page itself.
export class HttpEngine {
  // What the page says where engines differ.
  words = {
    invite: "Drop a scan here, open a file, or try the sample image.",
    notice: "",
    closes: "Saves the study's work on the server and closes it",
    unsaved: "The server has not saved your work on this study: it is in the server's memory only. Save the masks as a file; the server's log says why.",
    confirm: "The server has not saved your work. Close the study all the same?",
  };

  constructor(base = "/api") { this.base = base; }

  async ask(path, options = {}) {
    let reply;
    try {
      reply = await fetch(this.base + path, options);
    } catch {
      throw new Error("The server does not answer. Start it again and reload; what it has saved comes back.");
    }
    if (!reply.ok) {
      const body = await reply.json().catch(() => ({}));
      throw new Error(body.detail ?? `The server answered ${reply.status}.`);
    }
    return reply;
  }

  async json(path, method = "GET", body) {
    const options = { method };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers = { "content-type": "application/json" };
    }
    const reply = await this.ask(path, options);
    return reply.status === 204 ? null : reply.json();
  }

  state() { return this.json("/state"); }
  study(id) { return new HttpStudy(this, id); }
  sample() { return this.json("/sample", "POST"); }

  async upload(files, name, progress) {
    const { upload } = await this.json("/uploads", "POST", { name, files: files.length });
    for (const [k, file] of files.entries()) {
      progress(k, files.length);
      await this.ask(`/uploads/${upload}/files/${k}?name=${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    }
    return this.json(`/uploads/${upload}/open`, "POST");
  }
}

// One study of the engine. A handle never changes to another study, so that what is kept with a picture reaches that picture's study.
class HttpStudy {
  #engine;
  #queue = Promise.resolve();

  constructor(engine, id) {
    this.#engine = engine;
    this.id = id;
    Object.freeze(this);
  }

  #path(rest) { return `/studies/${this.id}${rest}`; }
  #now(rest, method, body) { return this.#engine.json(this.#path(rest), method, body); }

  // Steps reach the server in the order in which they were made, whatever the connections do.
  #step(rest, method, body) {
    const next = this.#queue.then(() => this.#now(rest, method, body));
    this.#queue = next.catch(() => {});
    return next;
  }

  describe() { return this.#now(""); }
  async volume() { return (await this.#engine.ask(this.#path("/volume"))).arrayBuffer(); }
  masks() { return this.#step("/masks", "GET"); }
  prompt(prompt) { return this.#step("/prompts", "POST", prompt); }
  preview(asked) { return this.#now("/preview", "POST", asked); }
  propagate(asked) { return this.#step("/propagate", "POST", asked); }
  cancel() { return this.#now("/cancel", "POST"); }
  undo() { return this.#step("/undo", "POST"); }
  redo() { return this.#step("/redo", "POST"); }
  change(key, change) { return this.#step(`/objects/${encodeURIComponent(key)}`, "PATCH", change); }
  remove(key) { return this.#step(`/objects/${encodeURIComponent(key)}`, "DELETE"); }
  close() { return this.#step("", "DELETE"); }

  // `overlap`: how many voxels objects have lost in the file, which has one label per voxel, to others.
  async save(format) {
    await this.#queue;
    const reply = await this.#engine.ask(this.#path(`/export?format=${format}`));
    const name = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition") ?? "")?.[1] ?? "mask";
    const overlap = Number(reply.headers.get("medsam-overlapping-voxels") ?? 0);
    return { name, overlap, blob: await reply.blob() };
  }

  // told(name, value) for each event; returns what ends it.
  events(told) {
    const source = new EventSource(this.#engine.base + this.#path("/events"));
    for (const name of ["encoding", "grown", "revision", "propagation", "saved", "closed"]) {
      source.addEventListener(name, (event) => {
        if (name === "closed") source.close();
        told(name, JSON.parse(event.data));
      });
    }
    return () => source.close();
  }
}
