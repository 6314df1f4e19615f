// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A study as the page shows it: the engine's handle of it, its voxels, its masks as of a revision, and how it is looked at.
// A view never changes to another study: what is drawn on it goes to its own handle, and replies change no other view.
import { MaskStore } from "./masks.js";
import { Picture } from "./picture.js";

export class StudyView {
  // `engine` is a study's handle, `study` its description; `load` makes a view that has its masks.
  constructor(engine, study, picture) {
    const place = picture.sizes.map((size) => Math.floor(size / 2));
    Object.assign(this, { engine, study, picture, place, masks: new MaskStore(picture.shape), objects: [], hidden: new Set(), visible: true });
    Object.assign(this, { outline: false, opacity: 0.5, current: null, fresh: null, sending: [], drawn: null });
    Object.assign(this, { revision: -1, seen: -1, steps: 0, running: false, stopped: false, propagation: null, grown: null, saved: true, followed: false, closing: false });
  }

  static async load(engine) {
    const study = await engine.describe();
    const view = new StudyView(engine, study, new Picture(study, await engine.volume()));
    await view.reload();
    return view;
  }

  async reload() {
    const reply = await this.engine.masks();
    this.masks = new MaskStore(this.picture.shape);
    this.keep(reply);
  }

  // What a step has changed. After a gap in the revisions somebody else has drawn, too: then all masks are asked for.
  async take(reply) {
    if (reply.revision === this.revision + 1) this.keep(reply);
    else await this.reload();
  }

  keep(reply) {
    this.revision = reply.revision;
    this.objects = reply.objects;
    if (!this.followed) this.saved = reply.saved ?? true; // events are newer: a step is saved after its reply
    this.masks.keep(reply.objects.map(({ key }) => key));
    for (const mask of reply.masks) this.masks.take(mask);
    if (!this.has(this.current)) this.current = this.fresh ?? this.objects.at(-1)?.key ?? null;
  }

  // A plane that a propagation has reached. It counts for nothing until the step is made.
  grow({ revision, mask }) {
    if (revision !== this.revision) return;
    this.grown = revision;
    this.masks.take(mask);
  }

  // The propagation is over. Whether it has left planes behind and made no step of them.
  grownInVain() {
    const vain = this.grown !== null && this.grown === this.revision && this.seen <= this.grown;
    this.grown = null;
    return vain;
  }

  has(key) { return this.objects.some((item) => item.key === key); }

  // The object that is drawn on; a new one if none is chosen. One that is on its way to the server counts, too.
  key() {
    if (!this.current) {
      let number = 1;
      while (this.has(`object ${number}`) || this.sending.includes(`object ${number}`)) number++;
      this.current = this.fresh = `object ${number}`;
    }
    return this.current;
  }

  async prompt(prompt) {
    const key = prompt.object;
    this.sending.push(key);
    try {
      const reply = await this.engine.prompt(prompt);
      if (this.fresh === key) this.fresh = null;
      return reply;
    } finally {
      this.sending.splice(this.sending.indexOf(key), 1);
    }
  }

  // The objects in the order in which an export paints them: one that is locked keeps its voxels.
  get painted() { return [...this.objects.filter(({ locked }) => !locked), ...this.objects.filter(({ locked }) => locked)]; }

  move(k, to) { this.place[k] = Math.max(0, Math.min(this.picture.sizes[k] - 1, to)); }
}
