// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One canvas: a plane of the array, the masks on it, the crosshair, and what is being drawn.
import { fromScreen, planeLayout, planeMatrix, toScreen } from "./geometry.js";

const LABEL_FONT = "14px system-ui, sans-serif";

export class Plane {
  constructor(view, axis, affine) {
    this.view = view; // what the page shows: picture, masks, objects, place, opacity, outline, visible
    this.axis = axis;
    this.layout = planeLayout(axis, affine);
    this.zoom = 1;
    this.pan = [0, 0];
    this.preview = null; // { index, mask }: what a click would find
    this.sketch = null; // { index, kind: "box" | "line" | "brush", points, positive } in pixels of the plane
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.dataset.axis = String(axis);
    [this.wide, this.high] = view.picture.planeSize(axis);
    this.image = this.layer();
    this.overlay = this.layer();
    this.pending = false;
  }

  layer() {
    const canvas = new OffscreenCanvas(this.wide, this.high);
    return { canvas, context: canvas.getContext("2d"), data: new ImageData(this.wide, this.high) };
  }

  // The two axes of the image that the plane shows (0 = x, 1 = y, 2 = z).
  get axes() { return [0, 1, 2].filter((k) => k !== 2 - this.axis); }
  get index() { return this.view.place[2 - this.axis]; }
  get matrix() {
    const { picture } = this.view;
    const box = this.canvas.getBoundingClientRect();
    return planeMatrix(this.layout, picture.sizes, picture.spacing, box.width, box.height, this.zoom, this.pan);
  }

  // Coordinates of the plane's pixels, whose centers are whole numbers, at a place of the screen.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const [i, j] = fromScreen(this.matrix, event.clientX - box.left, event.clientY - box.top);
    return [Math.max(0, Math.min(this.wide - 1, i - 0.5)), Math.max(0, Math.min(this.high - 1, j - 0.5))];
  }

  moveTo(point) { this.axes.forEach((k, n) => this.view.move(k, Math.round(point[n]))); }

  // Moves the crosshair by a pixel, as the plane lies on the screen; true when the key was an arrow.
  arrow(key) {
    const { right, down, flipRight, flipDown } = this.layout;
    const across = flipRight ? -1 : 1, along = flipDown ? -1 : 1;
    const step = { ArrowLeft: [right, -across], ArrowRight: [right, across], ArrowUp: [down, -along], ArrowDown: [down, along] }[key];
    if (step) this.view.move(step[0], this.view.place[step[0]] + step[1]);
    return Boolean(step);
  }

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.draw(); });
  }

  draw() {
    const { canvas, view } = this;
    const box = canvas.getBoundingClientRect();
    const dense = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * dense), Math.round(box.height * dense)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    view.picture.draw(this.axis, this.index, this.image.data.data);
    this.image.context.putImageData(this.image.data, 0, 0);
    this.drawMasks();
    const m = this.matrix;
    context.setTransform(...m.map((value) => value * dense));
    context.imageSmoothingEnabled = Math.abs(m[0] || m[2]) < 3;
    context.drawImage(this.image.canvas, 0, 0);
    context.imageSmoothingEnabled = false;
    if (view.visible) context.drawImage(this.overlay.canvas, 0, 0);
    context.setTransform(dense, 0, 0, dense, 0, 0);
    this.drawMarks(context, m, box.width, box.height);
    canvas.setAttribute("aria-label", `${this.layout.name} plane, slice ${this.index + 1}. Arrow keys move, Enter clicks.`);
    view.drawn?.();
  }

  drawMasks() {
    const { view, wide, high } = this;
    const out = new Uint32Array(this.overlay.data.data.buffer);
    out.fill(0);
    const alpha = Math.round(view.opacity * 255);
    for (const item of view.painted) {
      if (view.hidden.has(item.key)) continue;
      const mask = view.masks.plane(item.key, this.axis, this.index);
      if (!mask) continue;
      const rgb = parseInt(item.color.slice(5, 7) + item.color.slice(3, 5) + item.color.slice(1, 3), 16);
      const fill = ((view.outline ? 0 : alpha) << 24) | rgb;
      const edge = (255 << 24) | rgb;
      for (let j = 0, k = 0; j < high; j++) {
        for (let i = 0; i < wide; i++, k++) {
          if (!mask[k]) continue;
          const inner = i > 0 && i < wide - 1 && j > 0 && j < high - 1 && mask[k - 1] && mask[k + 1] && mask[k - wide] && mask[k + wide];
          const color = inner ? fill : edge;
          if (color >>> 24) out[k] = color;
        }
      }
    }
    if (this.preview?.index === this.index) this.drawPreview(out);
    this.overlay.context.putImageData(this.overlay.data, 0, 0);
  }

  // The edge alone, of every second pixel, so that nobody takes it for a mask.
  drawPreview(out) {
    const { preview: { mask }, wide, high } = this;
    for (let j = 0, k = 0; j < high; j++) {
      for (let i = 0; i < wide; i++, k++) {
        if (!mask[k] || (i + j) & 1) continue;
        const inner = i > 0 && i < wide - 1 && j > 0 && j < high - 1 && mask[k - 1] && mask[k + 1] && mask[k - wide] && mask[k + wide];
        if (!inner) out[k] = 0xffffffff;
      }
    }
  }

  drawMarks(context, m, width, height) {
    const { view, layout } = this;
    if (!view.picture.flat) {
      const [u, v] = this.axes.map((k) => view.place[k] + 0.5);
      const [x, y] = toScreen(m, u, v);
      context.strokeStyle = "rgba(95, 224, 200, .55)";
      context.lineWidth = 1;
      context.beginPath();
      for (const [x0, y0, x1, y1] of [[0, y, x - 8, y], [x + 8, y, width, y], [x, 0, x, y - 8], [x, y + 8, x, height]]) {
        context.moveTo(x0, y0);
        context.lineTo(x1, y1);
      }
      context.stroke();
    }
    this.drawSketch(context, m);
    context.font = LABEL_FONT;
    context.fillStyle = "#ffe9a8";
    context.shadowColor = "#000";
    context.shadowBlur = 3;
    if (layout.labels) {
      context.textAlign = "center";
      context.fillText(layout.labels.left, 10, height / 2 + 5);
      context.fillText(layout.labels.right, width - 10, height / 2 + 5);
      context.fillText(layout.labels.top, width / 2, 16);
      context.fillText(layout.labels.bottom, width / 2, height - 6);
    }
    context.textAlign = "left";
    const count = view.picture.sizes[2 - this.axis];
    if (!view.picture.flat) context.fillText(`${layout.name} ${this.index + 1}/${count}`, 8, height - 8);
    context.shadowBlur = 0;
  }

  drawSketch(context, m) {
    const { sketch } = this;
    if (!sketch?.points.length || sketch.index !== this.index) return;
    const points = sketch.points.map(([i, j]) => toScreen(m, i + 0.5, j + 0.5));
    context.strokeStyle = sketch.positive ? "#4dff88" : "#ff6b6b";
    context.lineWidth = sketch.kind === "brush" ? Math.max(2, 2 * sketch.radius * Math.abs(m[0] || m[2])) : 2;
    context.lineCap = context.lineJoin = "round";
    context.globalAlpha = sketch.kind === "brush" ? 0.5 : 1;
    context.beginPath();
    if (sketch.kind === "box") {
      const [[x0, y0], [x1, y1]] = [points[0], points.at(-1)];
      context.rect(x0, y0, x1 - x0, y1 - y0);
    } else {
      context.moveTo(...points[0]);
      for (const point of points) context.lineTo(...point);
    }
    context.stroke();
    context.globalAlpha = 1;
  }
}
