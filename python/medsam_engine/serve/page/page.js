// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a person does, to the engine and back to the screen.
import { download } from "./files.js";
import { say } from "./messages.js";
import { showObjects } from "./objects.js";
import { Preview } from "./preview.js";
import { Plane } from "./plane.js";
import { listen, TOOLS } from "./tools.js";
import { StudyView } from "./view.js";

const PRESETS = ["abdomen", "lung", "brain", "bone", "mediastinum", "automatic"];
const get = (id) => document.getElementById(id);

export class Page {
  constructor(engine) {
    Object.assign(this, { engine, planes: [], forget: [], tool: "box", positive: true, windowKey: false, radius: 6 });
    Object.assign(this, { view: null, turn: 0, opening: null }); // what is shown, how often another was asked for, which one is coming
    this.preview = new Preview(this);
  }

  async start() {
    this.state = await this.engine.state();
    const wanted = new URLSearchParams(location.search).get("study");
    const first = this.state.studies.find(({ id }) => id === wanted) ?? this.state.studies[0];
    this.listStudies();
    if (first) await this.open(first.id);
    else this.invite();
  }

  invite() { say(this.engine.words.invite); }

  // What the engine does in its own way, and what it has not.
  showWords() {
    const { words } = this.engine;
    for (const [id, text] of [["notice", words.notice], ["unsaved", words.unsaved]]) get(id).textContent = text;
    get("notice").hidden = !words.notice;
    get("close").title = words.closes;
    get("sample").hidden = !this.engine.sample;
  }

  showSaved(view) { get("unsaved").hidden = view.saved || !this.engine.words.unsaved; }

  // The steps of what is shown that the server has not answered yet.
  get steps() { return this.view?.steps ?? 0; }

  // The list names what is shown, not what is still coming.
  listStudies() {
    get("studies").replaceChildren(...this.state.studies.map(({ id, name }) => new Option(name, id)));
    get("studies").value = this.view?.engine.id ?? "";
  }

  // Runs what may fail; what fails is told, and nothing else changes.
  async attempt(work, view = null) {
    try { return await work(); } catch (error) { this.tell(view, error.message, true); return undefined; }
  }

  // What is told of a study that is no longer shown has its name.
  tell(view, text, error = false) { say(view && view !== this.view ? `${view.study.name}: ${text}` : text, error); }

  // Shows a study as soon as all of it is here. Until then, and if it fails, what is shown stays, and all that is done goes
  // to it. Of several that are asked for, the last one is shown.
  async open(id) {
    const turn = ++this.turn;
    this.opening = id;
    this.listStudies();
    try {
      const view = await StudyView.load(this.engine.study(id));
      if (turn === this.turn) this.show(view);
    } catch (error) {
      if (turn === this.turn) throw error;
    } finally {
      if (turn === this.turn) this.opening = null;
    }
  }

  show(view) {
    const { study, picture } = view;
    this.leave();
    this.view = view;
    this.planes = (picture.flat ? [0] : [0, 1, 2]).map((axis) => new Plane(view, axis, study.affine));
    this.planes.sort((one, other) => (other.layout.name === "axial") - (one.layout.name === "axial"));
    get("planes").className = picture.flat ? "one" : "";
    get("planes").replaceChildren(...this.planes.map((plane) => plane.canvas));
    this.forget = this.planes.map((plane) => listen(plane, this));
    get("format").replaceChildren(...study.formats.map((name) => new Option(name, name)));
    get("window").value = "automatic";
    get("volume-tools").hidden = picture.flat;
    get("notes").textContent = [`${study.shape.join(" x ")} ${study.type}`, study.modality, ...study.notes].filter(Boolean).join("; ");
    if (study.resumed) say("Your earlier work on this image is back.");
    this.stop = view.engine.events((name, value) => this.told(view, name, value));
    history.replaceState(null, "", `?study=${view.engine.id}`);
    this.listStudies();
    this.showWork();
    this.look();
    this.refresh(view);
  }

  // Nothing is shown.
  leave() {
    this.stop?.();
    this.giveUpDrawing();
    this.preview.at(null, null);
    Object.assign(this, { view: null, planes: [], forget: [], stop: null });
    for (const id of ["planes", "objects", "format"]) get(id).replaceChildren();
    for (const id of ["place", "notes", "encoding-text"]) get(id).textContent = "";
    Object.assign(get("encoding"), { max: 1, value: 0 });
    get("volume-tools").hidden = get("unsaved").hidden = true;
    this.showWork();
  }

  async close() {
    const { view } = this;
    if (!view || view.closing) return;
    if (!view.saved && view.objects.length && !confirm(this.engine.words.confirm)) return;
    view.closing = true;
    await this.attempt(async () => {
      await view.engine.close();
      if (view === this.view) {
        this.leave();
        history.replaceState(null, "", location.pathname);
      }
      this.state = await this.engine.state();
      this.listStudies();
      if (this.view || this.opening) return;
      const [next] = this.state.studies;
      if (next) await this.open(next.id);
      else this.invite();
    }, view);
    view.closing = false;
  }

  refresh(view) {
    if (view !== this.view) return;
    this.showSaved(view);
    this.showObjects();
    this.redraw();
  }

  // A step of the study of `view`, whichever study is shown when its reply comes.
  async step(view, work) {
    view.steps++;
    this.preview.at(null, null);
    await this.attempt(async () => {
      const reply = await work(view.engine);
      if (reply) await view.take(reply);
    }, view);
    view.steps--;
    this.refresh(view);
    this.catchUp(view);
  }

  // Somebody else has drawn on this study, and no step of this page is under way.
  catchUp(view) {
    if (view.steps || view.seen <= view.revision) return;
    this.attempt(async () => { await view.reload(); this.refresh(view); }, view);
  }

  // Draws on the study whose plane it is, in the slice in which it was begun.
  draw(plane, prompt, middle, index = plane.index) {
    const { view } = plane;
    const began = performance.now();
    const body = { ...prompt, object: view.key() };
    if (prompt.kind !== "paint") { body.axis = plane.axis; body.slice = view.picture.flat ? null : index; }
    view.move(2 - plane.axis, index);
    this.moveTo(plane, middle);
    this.step(view, async () => {
      const reply = await view.prompt(body);
      view.drawn = () => { view.drawn = null; performance.measure("prompt to pixels", { start: began, end: performance.now() }); };
      return reply;
    });
  }

  async propagate() {
    const { view } = this;
    if (!view || view.picture.flat || view.running) return;
    if (!view.current) return void say("Draw a box round the object first.");
    const axis = this.planes.find(({ canvas }) => canvas === document.activeElement)?.axis ?? this.planes[0].axis;
    Object.assign(view, { running: true, stopped: false });
    this.showWork();
    await this.step(view, async () => {
      const reply = await view.engine.propagate({ object: view.current, axis }).catch((error) => {
        if (!view.stopped && !view.closing) throw error;
        if (!view.closing) this.tell(view, "Stopped before the first slice was filled. Nothing has changed.");
      });
      if (!reply) return null;
      const { done, total, cancelled } = reply.reached;
      if (cancelled) this.tell(view, `Stopped after ${done} of ${total} slices. They are kept; Ctrl+Z takes them back.`);
      else if (done < total) this.tell(view, `The time was up after ${done} of ${total} slices. Fill again when more slices are encoded.`, true);
      return reply;
    });
    view.running = false;
    this.showWork();
  }

  // A propagation of what is shown, whoever has begun it.
  get working() { return Boolean(this.view && (this.view.running || this.view.propagation)); }
  showWork() { get("cancel").hidden = get("work").hidden = !this.working; }

  giveUpDrawing() { return this.forget.map((forget) => forget()).includes(true); }

  // What is being drawn or, if nothing is, what is being computed.
  giveUp() {
    if (!get("help").hidden) this.toggleHelp();
    const { view } = this;
    if (this.giveUpDrawing() || !this.working) return;
    view.stopped = true;
    this.attempt(() => view.engine.cancel(), view);
  }

  undo() { if (this.view) this.step(this.view, (study) => study.undo()); }
  redo() { if (this.view) this.step(this.view, (study) => study.redo()); }
  change(view, key, change) { this.step(view, (study) => study.change(key, change)); }
  remove(view, key) { this.step(view, (study) => study.remove(key)); }
  removeCurrent() { if (this.view?.has(this.view.current)) this.remove(this.view, this.view.current); }
  newObject() { if (this.view) { this.view.current = null; this.view.key(); this.showObjects(); say(`Draw the next object: ${this.view.current}.`); } }
  nextObject() { this.newObject(); }
  choose(view, key) { view.current = key; this.refresh(view); }
  mark(view, key, row) { view.current = key; for (const other of row.parentNode.children) other.setAttribute("aria-current", String(other === row)); }
  toggleObject(view, key) { if (!view.hidden.delete(key)) view.hidden.add(key); this.refresh(view); }
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

  dragWindow(dx, dy) { if (!this.view.picture.color) { this.view.picture.dragWindow(dx, dy); this.redraw(); } }

  scroll(plane, by) { plane.view.move(2 - plane.axis, plane.index + by); this.redraw(); }

  moveTo(plane, point) { plane.moveTo(point); this.redraw(); }

  // Keys on a plane; true when the key was one.
  planeKey(event) {
    const plane = this.planes.find(({ canvas }) => canvas === event.target);
    if (plane.arrow(event.key)) this.redraw();
    else if (event.key === "PageUp" || event.key === "PageDown") this.scroll(plane, event.key === "PageUp" ? 1 : -1);
    else if (event.key === "Enter") {
      const point = plane.axes.map((k) => plane.view.place[k]);
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

  told(view, name, value) {
    if (name === "encoding") {
      get("encoding").max = value.total;
      get("encoding").value = value.encoded;
      get("encoding-text").textContent = `${value.encoded}/${value.total}`;
    } else if (name === "grown") {
      view.grow(value);
      if (view === this.view) this.redraw();
    } else if (name === "propagation") {
      view.propagation = value;
      if (!value && view.grownInVain()) this.attempt(async () => { await view.reload(); this.refresh(view); }, view);
      if (value) Object.assign(get("work"), { max: value.total, value: value.done });
      this.showWork();
    } else if (name === "revision") {
      view.seen = value.revision;
      this.catchUp(view);
    } else if (name === "saved") {
      Object.assign(view, { saved: value.saved, followed: true });
      this.showSaved(view);
    } else if (name === "closed" && !view.closing) {
      view.propagation = null;
      this.showWork();
      const rest = view.saved ? "Open the image again to go on from the work that was saved." : "Your work was not saved and may be lost.";
      say(`The server has ended, or the study was closed. ${rest}`, true);
    }
  }

  async save() {
    const { view } = this;
    if (!view) return;
    const format = get("format").value;
    await this.attempt(async () => {
      const { name, overlap, blob } = await view.engine.save(format);
      download(name, blob);
      say(`Saved as ${name}.${overlap ? ` Objects overlap: ${overlap} voxels went to another object.` : ""}`);
    }, view);
  }

  async upload(files, folder = "") {
    await this.attempt(async () => {
      const name = folder || files[0].webkitRelativePath?.split("/")[0] || files[0].name;
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
