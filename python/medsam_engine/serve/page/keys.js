// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Keys, as napari and 3D Slicer have them where they have them.
export const KEYS = [
  ["B, P", "box by dragging; click on the object", (page) => page.choosetool("box")],
  ["S", "scribble", (page) => page.choosetool("scribble")],
  ["L", "lasso", (page) => page.choosetool("lasso")],
  ["D", "brush", (page) => page.choosetool("brush")],
  ["X", "eraser", (page) => page.choosetool("eraser")],
  ["N", "move the crosshair", (page) => page.choosetool("move")],
  ["T", "positive or negative", (page) => page.togglePolarity()],
  ["M, E", "next object", (page) => page.nextObject()],
  ["R, Delete", "remove the object", (page) => page.removeCurrent()],
  ["V", "hide or show the masks", (page) => page.toggleMasks()],
  ["O", "outlines only", (page) => page.toggleOutline()],
  ["G", "fill the volume", (page) => page.propagate()],
  ["F", "fit the planes", (page) => page.fit()],
  ["Escape", "give up what is being drawn or computed", (page) => page.giveUp()],
  ["1, 2, 3, 4, 5, 6", "windows: abdomen, lung, brain, bone, mediastinum, automatic", (page, key) => page.preset(Number(key) - 1)],
  ["[, ]", "smaller, larger brush", (page, key) => page.resizeBrush(key === "]" ? 1 : -1)],
  ["?", "these keys", (page) => page.toggleHelp()],
];
const MOUSE = [
  ["Left drag", "box"], ["Click", "on the object"], ["Shift+click, right click", "beside the object"],
  ["Right drag, W+drag", "window"], ["Wheel, Page Up, Page Down", "slices"], ["Ctrl+wheel", "zoom"], ["Middle drag", "move the image"],
  ["Arrows, Enter", "move the crosshair, click there; Shift+Enter: beside"], ["Ctrl+Z, Ctrl+Shift+Z, Ctrl+Y", "undo, redo"],
];

export function listenToKeys(page) {
  const acts = new Map();
  for (const [names, , act] of KEYS) for (const name of names.split(", ")) acts.set(name.toLowerCase(), act);
  document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "w") page.windowKey = false; });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=text], select")) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault();
      return void (key === "y" || event.shiftKey ? page.redo() : page.undo());
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "w") page.windowKey = true;
    if (event.target.matches("canvas") && page.planeKey(event)) return void event.preventDefault();
    const act = acts.get(key);
    if (act) { event.preventDefault(); act(page, event.key); }
  });
}

export function helpList() {
  const list = document.createElement("dl");
  for (const [names, text] of [...MOUSE, ...KEYS]) {
    const term = document.createElement("dt"), meaning = document.createElement("dd");
    [term.textContent, meaning.textContent] = [names, text];
    list.append(term, meaning);
  }
  return list;
}
