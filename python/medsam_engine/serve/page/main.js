// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Puts the page together.
import { engine } from "./engine.js";
import { listenToFiles } from "./files.js";
import { helpList, listenToKeys } from "./keys.js";
import { Page, PRESETS } from "./page.js";

const get = (id) => document.getElementById(id);
const page = new Page(engine);
page.showTools();
page.showWords();
listenToKeys(page);
listenToFiles(page);
get("help").append(helpList());
get("help-button").addEventListener("click", () => page.toggleHelp());
get("sample").addEventListener("click", () => page.sample());
get("close").addEventListener("click", () => page.close());
get("save").addEventListener("click", () => page.save());
get("new-object").addEventListener("click", () => page.newObject());
get("propagate").addEventListener("click", () => page.propagate());
get("cancel").addEventListener("click", () => page.giveUp());
get("studies").addEventListener("change", (event) => page.attempt(() => page.open(event.target.value)));
get("window").replaceChildren(...PRESETS.map((name) => new Option(name, name)));
get("window").value = "automatic";
get("window").addEventListener("change", (event) => page.preset(PRESETS.indexOf(event.target.value)));
get("opacity").addEventListener("input", () => page.look());
get("outline").addEventListener("change", () => page.look());
get("brush").addEventListener("input", (event) => { page.radius = Number(event.target.value); });
new ResizeObserver(() => page.redraw()).observe(get("planes"));
page.attempt(() => page.start()).then(() => { document.body.dataset.ready = "yes"; });

// For tests and for the console.
window.medsamPage = page;
