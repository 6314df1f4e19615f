// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a click would find, under the pointer: asked for while the engine is idle, one place at a time, the last one first.
import { bytesOf } from "./masks.js";

export class Preview {
  constructor(page) { Object.assign(this, { page, asking: false, wanted: null, shown: null }); }

  // The pointer is at `point` of the plane; null: it has left, or something else is being done.
  at(plane, point) {
    this.wanted = point && this.useful(plane) ? { plane, point, index: plane.index, view: this.page.view } : null;
    if (!this.wanted) this.clear();
    else this.ask();
  }

  // A click corrects an object that has something in the plane; only one that has not is found.
  useful(plane) {
    const { view, tool, steps, running } = this.page;
    return view.visible && tool === "box" && !steps && !running && !view.masks.any(view.current, plane.axis, plane.index);
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    while (this.wanted) {
      const { plane, point, index, view } = this.wanted;
      this.wanted = null;
      const slice = view.picture.flat ? null : index;
      const reply = await this.page.engine.preview({ point, axis: plane.axis, slice }).catch(() => null);
      if (view !== this.page.view || plane.index !== index || !this.useful(plane)) { this.clear(); continue; }
      if (reply?.runs) this.show(plane, index, bytesOf(reply.runs, plane.wide * plane.high));
    }
    this.asking = false;
  }

  show(plane, index, mask) {
    this.clear();
    this.shown = plane;
    plane.preview = { index, mask };
    plane.redraw();
  }

  clear() {
    if (!this.shown) return;
    this.shown.preview = null;
    this.shown.redraw();
    this.shown = null;
  }
}
