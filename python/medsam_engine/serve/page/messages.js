// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One line for the person, which goes by itself unless it is an error.
const SECONDS = 6;

export function say(text, error = false) {
  const line = document.createElement("p");
  line.textContent = text;
  if (error) {
    line.className = "error";
    line.tabIndex = 0;
    line.title = "Click to dismiss";
    line.addEventListener("click", () => line.remove());
  }
  const box = document.getElementById("messages");
  box.append(line);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => line.remove(), (error ? 3 : 1) * SECONDS * 1000);
}
