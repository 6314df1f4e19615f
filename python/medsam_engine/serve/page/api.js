// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine as the page knows it. This one asks the server; another with the same methods may run in the page itself.
export class HttpEngine {
  constructor(base = "/api") { this.base = base; this.queue = Promise.resolve(); }

  async ask(path, options = {}) {
    let reply;
    try {
      reply = await fetch(this.base + path, options);
    } catch {
      throw new Error("The server does not answer. Your work up to the last step is saved; start it again and reload.");
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

  // Steps reach the server in the order in which they were made, whatever the connections do.
  step(path, method, body) {
    const next = this.queue.then(() => this.json(path, method, body));
    this.queue = next.catch(() => {});
    return next;
  }

  state() { return this.json("/state"); }
  open(study) { this.study = study; return this.json(`/studies/${study}`); }
  async volume() { return (await this.ask(`/studies/${this.study}/volume`)).arrayBuffer(); }
  masks() { return this.step(`/studies/${this.study}/masks`, "GET"); }
  prompt(prompt) { return this.step(`/studies/${this.study}/prompts`, "POST", prompt); }
  preview(asked) { return this.json(`/studies/${this.study}/preview`, "POST", asked); }
  propagate(asked) { return this.step(`/studies/${this.study}/propagate`, "POST", asked); }
  cancel() { return this.json(`/studies/${this.study}/cancel`, "POST"); }
  undo() { return this.step(`/studies/${this.study}/undo`, "POST"); }
  redo() { return this.step(`/studies/${this.study}/redo`, "POST"); }
  change(key, change) { return this.step(`/studies/${this.study}/objects/${encodeURIComponent(key)}`, "PATCH", change); }
  remove(key) { return this.step(`/studies/${this.study}/objects/${encodeURIComponent(key)}`, "DELETE"); }
  sample() { return this.json("/sample", "POST"); }

  async save(format) {
    await this.queue;
    const reply = await this.ask(`/studies/${this.study}/export?format=${format}`);
    const name = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition") ?? "")?.[1] ?? "mask";
    return { name, blob: await reply.blob() };
  }

  async upload(files, name, progress) {
    const { upload } = await this.json("/uploads", "POST", { name, files: files.length });
    for (const [k, file] of files.entries()) {
      progress(k, files.length);
      await this.ask(`/uploads/${upload}/files/${k}?name=${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    }
    return this.json(`/uploads/${upload}/open`, "POST");
  }

  // told(name, value) for each event; returns what ends it.
  events(told) {
    const source = new EventSource(`${this.base}/studies/${this.study}/events`);
    for (const name of ["encoding", "propagation", "revision", "closed"]) {
      source.addEventListener(name, (event) => {
        if (name === "closed") source.close();
        told(name, JSON.parse(event.data));
      });
    }
    return () => source.close();
  }
}
