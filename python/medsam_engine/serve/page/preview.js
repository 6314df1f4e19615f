// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a click would find, under a pointer that rests: asked for while the engine is idle, one place at a time.
import { bytesOf } from "./masks.js";

const REST = 60; // ms: a click at the end of a movement does not wait for a preview that has just begun

export class Preview {
  constructor(page) { Object.assign(this, { page, asking: false, wanted: null, under: null, shown: null, rest: 0 }); }

  // The pointer is at `point` of the plane; null: it has left, or something else is being done.
  at(plane, point) {
    clearTimeout(this.rest);
    this.wanted = null;
    this.under = point && this.useful(plane) ? { plane, point, index: plane.index } : null;
    if (!this.under) return void this.clear();
    this.rest = setTimeout(() => { this.wanted = this.under; this.ask(); }, REST);
  }

  // A click corrects an object that has something in the plane; only one that has not is found.
  useful(plane) {
    const { view } = plane;
    return view.visible && this.page.tool === "box" && !view.steps && !view.running && !view.masks.any(view.current, plane.axis, plane.index);
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    while (this.wanted) {
      const { plane, point, index } = this.wanted;
      const { view } = plane;
      this.wanted = null;
      const slice = view.picture.flat ? null : index;
      const reply = await view.engine.preview({ point, axis: plane.axis, slice }).catch(() => null);
      // The pointer has left the plane, or the plane has left the screen or shows another slice.
      if (this.under?.plane !== plane || view !== this.page.view || plane.index !== index || !this.useful(plane)) { this.clear(); continue; }
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
