// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Pointers on a plane become prompts. `page` does what they ask for.
import { runsOf } from "./masks.js";

export const TOOLS = [
  ["box", "Box and click", "B"], ["scribble", "Scribble", "S"], ["lasso", "Lasso", "L"],
  ["brush", "Brush", "D"], ["eraser", "Eraser", "X"], ["move", "Crosshair", "N"],
];
const DRAG = 4; // pixels of the screen that tell a drag from a click

export function listen(plane, page) {
  const { canvas } = plane;
  let drag = null;

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) { plane.zoom = Math.max(0.5, Math.min(20, plane.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15))); plane.redraw(); }
    else page.scroll(plane, Math.sign(event.deltaY));
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    page.preview.at(plane, null);
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const right = event.button === 2;
    const kind = event.button === 1 ? "pan" : page.windowKey && !right ? "window" : right ? "right" : page.tool;
    drag = { kind, from: [event.clientX, event.clientY], last: [event.clientX, event.clientY], moved: false, index: plane.index,
      points: [plane.at(event)], positive: page.positive !== (event.shiftKey || right) };
    if (kind === "move") page.moveTo(plane, plane.at(event));
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return void page.preview.at(plane, plane.at(event));
    const [dx, dy] = [event.clientX - drag.last[0], event.clientY - drag.last[1]];
    page.preview.at(plane, null);
    drag.moved ||= Math.hypot(event.clientX - drag.from[0], event.clientY - drag.from[1]) > DRAG;
    drag.last = [event.clientX, event.clientY];
    if (!drag.moved) return;
    if (drag.kind === "window" || drag.kind === "right") return void page.dragWindow(dx, dy);
    if (drag.kind === "pan") { plane.pan = [plane.pan[0] + dx, plane.pan[1] + dy]; return void plane.redraw(); }
    if (drag.kind === "move") return void page.moveTo(plane, plane.at(event));
    drag.points.push(plane.at(event));
    const brush = drag.kind === "brush" || drag.kind === "eraser";
    plane.sketch = { index: drag.index, kind: drag.kind === "box" ? "box" : brush ? "brush" : "line", points: drag.points, radius: page.radius,
      positive: drag.kind === "box" || drag.kind === "lasso" || (drag.positive && drag.kind !== "eraser") };
    plane.redraw();
  });

  canvas.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { kind, moved, points, positive, index } = drag; // the slice of the beginning, whatever wheel and keys have done since
    const draw = (prompt, middle) => page.draw(plane, prompt, middle, index);
    drag = null;
    plane.sketch = null;
    plane.redraw();
    const end = plane.at(event);
    if (kind === "right") { if (!moved) draw({ kind: "click", point: end, positive }, end); }
    else if (kind === "brush" || kind === "eraser") draw(stroke(plane, index, points, page.radius, kind === "eraser"), end);
    else if (kind === "box" && moved) draw({ kind: "box", box: boxOf(points[0], end) }, middle(points[0], end));
    else if (kind === "scribble" && moved) draw({ kind: "scribble", line: points, positive }, end);
    else if (kind === "lasso" && points.length > 2) draw({ kind: "lasso", outline: points }, end);
    else if (["box", "scribble", "lasso"].includes(kind)) draw({ kind: "click", point: end, positive }, end);
  });

  canvas.addEventListener("pointerleave", () => page.preview.at(plane, null));

  // Returns whether something was being drawn.
  const forget = () => {
    const drawing = drag !== null;
    drag = plane.sketch = null;
    plane.redraw();
    return drawing;
  };
  canvas.addEventListener("pointercancel", forget);
  return forget;
}

const middle = ([x0, y0], [x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2];

// Whole pixels, from any corner.
export function boxOf([x0, y0], [x1, y1]) {
  return [Math.round(Math.min(x0, x1)), Math.round(Math.min(y0, y1)), Math.round(Math.max(x0, x1)), Math.round(Math.max(y0, y1))];
}

// The voxels that a round brush of `radius` pixels has passed, as a box with runs.
export function stroke(plane, index, points, radius, erase) {
  const { wide, high, axis } = plane;
  const bytes = new Uint8Array(wide * high);
  const box = [wide, high, -1, -1];
  const dab = (cx, cy) => {
    for (let j = Math.max(0, Math.ceil(cy - radius)); j <= Math.min(high - 1, cy + radius); j++) {
      for (let i = Math.max(0, Math.ceil(cx - radius)); i <= Math.min(wide - 1, cx + radius); i++) {
        if ((i - cx) ** 2 + (j - cy) ** 2 > radius * radius) continue;
        bytes[j * wide + i] = 1;
        if (i < box[0]) box[0] = i;
        if (j < box[1]) box[1] = j;
        if (i > box[2]) box[2] = i;
        if (j > box[3]) box[3] = j;
      }
    }
  };
  points.forEach(([x, y], k) => {
    const [px, py] = points[Math.max(0, k - 1)];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - px, y - py) / Math.max(1, radius / 2)));
    for (let s = 0; s <= steps; s++) dab(Math.round(px + ((x - px) * s) / steps), Math.round(py + ((y - py) * s) / steps));
  });
  const part = [];
  for (let j = box[1]; j <= box[3]; j++) for (let i = box[0]; i <= box[2]; i++) part.push(bytes[j * wide + i]);
  const low = [box[0], box[1]], top = [box[2], box[3]];
  low.splice(2 - axis, 0, index);
  top.splice(2 - axis, 0, index);
  return { kind: "paint", box: [...low, ...top], runs: runsOf(part), erase };
}
