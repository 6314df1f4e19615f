// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The list of objects: color, name, visible, locked, removed, and how big they are.
function button(text, label, pressed, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.title = label;
  made.setAttribute("aria-label", label);
  if (pressed !== null) made.setAttribute("aria-pressed", String(pressed));
  made.addEventListener("click", (event) => { event.stopPropagation(); act(); });
  return made;
}

export function showObjects(list, view, page) {
  list.replaceChildren(...view.objects.map((item) => {
    const row = document.createElement("li");
    row.setAttribute("aria-current", String(item.key === view.current));
    // A click into a name or a color is for these: a list that is shown anew would take the focus from them.
    row.addEventListener("click", ({ target }) => (target.matches("input") ? page.mark(view, item.key, row) : page.choose(view, item.key)));
    const color = document.createElement("input");
    color.type = "color";
    color.value = item.color;
    color.setAttribute("aria-label", `Color of ${item.name}`);
    color.addEventListener("change", () => page.change(view, item.key, { color: color.value }));
    const name = document.createElement("input");
    name.type = "text";
    name.value = item.name;
    name.maxLength = 64;
    name.setAttribute("aria-label", "Name");
    name.addEventListener("focus", () => { if (view.current !== item.key) page.mark(view, item.key, row); });
    name.addEventListener("change", () => page.change(view, item.key, { name: name.value }));
    const hidden = view.hidden.has(item.key);
    const size = document.createElement("small");
    size.textContent = item.ml === null ? `${item.voxels} pixels` : `${item.ml.toFixed(item.ml < 10 ? 2 : 1)} ml`;
    row.append(
      color, name,
      button(hidden ? "Show" : "Hide", `${hidden ? "Show" : "Hide"} ${item.name}`, null, () => page.toggleObject(view, item.key)),
      button("Lock", `Lock ${item.name}`, item.locked, () => page.change(view, item.key, { locked: !item.locked })),
      button("Del", `Delete ${item.name}`, null, () => page.remove(view, item.key)),
      size,
    );
    return row;
  }));
}
