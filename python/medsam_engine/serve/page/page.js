// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a person does, to the engine and back to the screen.
import { MaskStore } from "./masks.js";
import { say } from "./messages.js";
import { showObjects } from "./objects.js";
import { Picture } from "./picture.js";
import { Preview } from "./preview.js";
import { Plane } from "./plane.js";
import { listen, TOOLS } from "./tools.js";

const PRESETS = ["abdomen", "lung", "brain", "bone", "mediastinum", "automatic"];
const get = (id) => document.getElementById(id);

export class Page {
  constructor(engine) {
    Object.assign(this, { engine, planes: [], forget: [], tool: "box", positive: true, windowKey: false, radius: 6, running: false });
    this.preview = new Preview(this);
  }

  async start() {
    this.state = await this.engine.state();
    const wanted = new URLSearchParams(location.search).get("study");
    const first = this.state.studies.find(({ id }) => id === wanted) ?? this.state.studies[0];
    this.listStudies();
    if (first) await this.open(first.id);
    else say("Drop a scan here, open a file, or try the sample image.");
  }

  listStudies() {
    get("studies").replaceChildren(...this.state.studies.map(({ id, name }) => new Option(name, id)));
    if (this.view) get("studies").value = this.view.study.id;
  }

  // Runs what may fail; what fails is told, and nothing else changes.
  async attempt(work) {
    try { return await work(); } catch (error) { say(error.message, true); return undefined; }
  }

  async open(id) {
    const study = await this.engine.open(id);
    const picture = new Picture(study, await this.engine.volume());
    this.stop?.();
    this.seen = -1;
    const place = picture.sizes.map((size) => Math.floor(size / 2));
    this.view = { study, picture, place, masks: new MaskStore(picture.shape), objects: [], hidden: new Set(), visible: true,
      outline: get("outline").checked, opacity: get("opacity").value / 100, current: null, revision: -1 };
    this.planes = (picture.flat ? [0] : [0, 1, 2]).map((axis) => new Plane(this.view, axis, study.affine));
    this.planes.sort((one, other) => (other.layout.name === "axial") - (one.layout.name === "axial"));
    get("planes").className = picture.flat ? "one" : "";
    get("planes").replaceChildren(...this.planes.map((plane) => plane.canvas));
    this.forget = this.planes.map((plane) => listen(plane, this));
    get("format").replaceChildren(...study.formats.map((name) => new Option(name, name)));
    get("volume-tools").hidden = picture.flat;
    get("notes").textContent = [`${study.shape.join(" x ")} ${study.type}`, study.modality, ...study.notes].filter(Boolean).join("; ");
    await this.reload();
    if (study.resumed) say("Your earlier work on this image is back.");
    this.stop = this.engine.events((name, value) => this.told(name, value));
    history.replaceState(null, "", `?study=${id}`);
    this.listStudies();
    this.redraw();
  }

  async reload() {
    const reply = await this.engine.masks();
    this.view.masks = new MaskStore(this.view.picture.shape);
    this.take(reply, true);
  }

  take(reply, whole = false) {
    const { view } = this;
    if (!whole && reply.revision !== view.revision + 1) return this.reload(); // somebody else drew, too
    view.revision = reply.revision;
    view.objects = reply.objects;
    view.masks.keep(reply.objects.map(({ key }) => key));
    for (const mask of reply.masks) view.masks.take(mask);
    view.undo = reply.undo;
    if (!reply.objects.some(({ key }) => key === view.current)) view.current = view.fresh ?? reply.objects.at(-1)?.key ?? null;
    this.showObjects();
    this.redraw();
    return undefined;
  }

  async step(work) {
    this.steps = (this.steps ?? 0) + 1;
    this.preview.at(null, null);
    const { view } = this;
    await this.attempt(async () => {
      const reply = await work();
      if (view === this.view) await this.take(reply);
      return reply;
    });
    this.steps--;
    this.catchUp();
    document.body.dataset.steps = String(this.steps);
    document.body.dataset.revision = String(this.view.revision);
  }

  // Somebody else has drawn on this study, and no step of this page is under way.
  catchUp() { if (!this.steps && this.seen > this.view.revision) this.attempt(() => this.reload()); }

  key() {
    const { view } = this;
    if (!view.current) {
      let number = 1;
      while (view.objects.some(({ key }) => key === `object ${number}`)) number++;
      view.current = view.fresh = `object ${number}`;
    }
    return view.current;
  }

  draw(plane, prompt, middle) {
    if (!this.view) return;
    const began = performance.now();
    const body = { ...prompt, object: this.key() };
    if (prompt.kind !== "paint") { body.axis = plane.axis; body.slice = this.view.picture.flat ? null : plane.index; }
    this.moveTo(plane, middle);
    this.step(async () => {
      const reply = await this.engine.prompt(body);
      this.view.fresh = null;
      this.view.drawn = () => { this.view.drawn = null; performance.measure("prompt to pixels", { start: began, end: performance.now() }); };
      return reply;
    });
  }

  async propagate() {
    if (!this.view || this.view.picture.flat || this.running) return;
    if (!this.view.current) return void say("Draw a box round the object first.");
    const axis = this.planes.find(({ canvas }) => canvas === document.activeElement)?.axis ?? this.planes[0].axis;
    this.running = true;
    get("cancel").hidden = get("work").hidden = false;
    await this.step(async () => {
      const reply = await this.engine.propagate({ object: this.view.current, axis });
      const { done, total } = reply.reached;
      if (done < total) say(`The time was up after ${done} of ${total} slices. Fill again when more slices are encoded.`, true);
      return reply;
    });
    this.running = false;
    get("cancel").hidden = get("work").hidden = true;
  }

  giveUp() {
    for (const forget of this.forget) forget();
    get("help").hidden = true;
    if (this.running) this.attempt(() => this.engine.cancel());
  }

  undo() { if (this.view) this.step(() => this.engine.undo()); }
  redo() { if (this.view) this.step(() => this.engine.redo()); }
  change(key, change) { this.step(() => this.engine.change(key, change)); }
  remove(key) { this.step(() => this.engine.remove(key)); }
  removeCurrent() { if (this.view?.objects.some(({ key }) => key === this.view.current)) this.remove(this.view.current); }
  newObject() { if (this.view) { this.view.current = null; this.key(); this.showObjects(); say(`Draw the next object: ${this.view.current}.`); } }
  nextObject() { this.newObject(); }
  choose(key) { this.view.current = key; this.showObjects(); }
  mark(key, row) { this.view.current = key; for (const other of row.parentNode.children) other.setAttribute("aria-current", String(other === row)); }
  toggleObject(key) { const { hidden } = this.view; if (!hidden.delete(key)) hidden.add(key); this.showObjects(); this.redraw(); }
  toggleMasks() { if (this.view) { this.view.visible = !this.view.visible; this.redraw(); } }
  toggleOutline() { get("outline").checked = !get("outline").checked; this.look(); }
  showObjects() { showObjects(get("objects"), this.view, this); }
  look() { if (this.view) { this.view.outline = get("outline").checked; this.view.opacity = get("opacity").value / 100; this.redraw(); } }
  resizeBrush(by) { this.radius = Math.max(1, Math.min(40, this.radius + by)); get("brush").value = this.radius; }
  toggleHelp() { const help = get("help"); help.hidden = !help.hidden; get("help-button").setAttribute("aria-expanded", String(!help.hidden)); }
  togglePolarity() { this.positive = !this.positive; say(this.positive ? "Clicks and scribbles are on the object." : "Clicks and scribbles are beside the object."); }

  choosetool(name) {
    this.tool = name;
    for (const button of get("tools").querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  }

  showTools() {
    get("tools").replaceChildren(...TOOLS.map(([name, text, key]) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: `${text} (${key})` });
      button.dataset.tool = name;
      button.addEventListener("click", () => this.choosetool(name));
      return button;
    }));
    this.choosetool("box");
  }

  preset(number) {
    const { view } = this;
    const name = PRESETS[number];
    if (!view || view.picture.color) return;
    const { windows } = this.state;
    const { low, high } = view.study.window;
    if (name === "automatic") view.picture.setWindow(low, high);
    else view.picture.setWindow(windows[name].level - windows[name].width / 2, windows[name].level + windows[name].width / 2);
    get("window").value = name;
    this.redraw();
  }

  dragWindow(dx, dy) {
    const { picture } = this.view;
    if (picture.color) return;
    const width = picture.high - picture.low, level = (picture.high + picture.low) / 2;
    const wider = Math.max(width * (1 + dx / 200), 1e-3), moved = level + (dy * width) / 400;
    picture.setWindow(moved - wider / 2, moved + wider / 2);
    this.redraw();
  }

  scroll(plane, by) {
    const k = 2 - plane.axis, { place, picture } = this.view;
    place[k] = Math.max(0, Math.min(picture.sizes[k] - 1, place[k] + by));
    this.redraw();
  }

  moveTo(plane, point) {
    const axes = [0, 1, 2].filter((k) => k !== 2 - plane.axis);
    axes.forEach((k, n) => { this.view.place[k] = Math.round(point[n]); });
    this.redraw();
  }

  // Keys on a plane; true when the key was one.
  planeKey(event) {
    const plane = this.planes.find(({ canvas }) => canvas === event.target);
    const { right, down, flipRight, flipDown } = plane.layout;
    const { place, picture } = this.view;
    const step = { ArrowLeft: [right, flipRight ? 1 : -1], ArrowRight: [right, flipRight ? -1 : 1], ArrowUp: [down, flipDown ? 1 : -1], ArrowDown: [down, flipDown ? -1 : 1] }[event.key];
    if (step) { place[step[0]] = Math.max(0, Math.min(picture.sizes[step[0]] - 1, place[step[0]] + step[1])); this.redraw(); }
    else if (event.key === "PageUp" || event.key === "PageDown") this.scroll(plane, event.key === "PageUp" ? 1 : -1);
    else if (event.key === "Enter") {
      const point = [0, 1, 2].filter((k) => k !== 2 - plane.axis).map((k) => place[k]);
      this.draw(plane, { kind: "click", point, positive: this.positive !== event.shiftKey }, point);
    } else return false;
    return true;
  }

  fit() { for (const plane of this.planes) { plane.zoom = 1; plane.pan = [0, 0]; } this.redraw(); }

  redraw() {
    if (!this.view) return;
    const { place, picture } = this.view;
    const at = place[2] * picture.sizes[0] * picture.sizes[1] + place[1] * picture.sizes[0] + place[0];
    get("place").textContent = `x ${place[0]}, y ${place[1]}${picture.flat ? "" : `, z ${place[2]}`}${picture.color ? "" : `: ${+picture.values[at].toPrecision(6)}`}`;
    for (const plane of this.planes) plane.redraw();
  }

  told(name, value) {
    if (name === "encoding") {
      get("encoding").max = value.total;
      get("encoding").value = value.encoded;
      get("encoding-text").textContent = `${value.encoded}/${value.total}`;
    } else if (name === "propagation" && value) {
      get("work").max = value.total;
      get("work").value = value.done;
    } else if (name === "revision") { this.seen = value.revision; this.catchUp(); }
    else if (name === "closed") say("The server has ended, or the study was closed. Your work is saved.", true);
  }

  async save() {
    if (!this.view) return;
    await this.attempt(async () => {
      const { name, blob } = await this.engine.save(get("format").value);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      say(`Saved as ${name}.`);
    });
  }

  async upload(files) {
    await this.attempt(async () => {
      const name = files[0].webkitRelativePath?.split("/")[0] || files[0].name;
      say("Reading the image.");
      const { study } = await this.engine.upload(files, name, () => {});
      this.state = await this.engine.state();
      await this.open(study);
    });
  }

  async sample() {
    await this.attempt(async () => {
      const { study } = await this.engine.sample();
      this.state = await this.engine.state();
      await this.open(study);
    });
  }
}

export { PRESETS };
