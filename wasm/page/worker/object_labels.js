// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The color of each label, as medsam_engine.io.label_colors gives it, and names that can be printed.
const GOLDEN_RATIO = 0.618033988749895;

export function labelColor(label) {
  const order = label - 1;
  const hue = ((order * GOLDEN_RATIO) % 1) * 6;
  const value = Math.floor(order / 12) % 2 === 0 ? 255 : 170;
  const channels = [0, 4, 2].map((shift) => Math.min(1, Math.max(0, Math.abs(((hue + shift) % 6) - 3) - 1)));
  return `#${channels.map((channel) => Math.round(channel * value).toString(16).padStart(2, "0")).join("")}`;
}

export function objectName(name) {
  const shown = name.replace(/[\p{C}\p{Z}]+/gu, " ").trim().slice(0, 64);
  if (!shown) throw new Error("name: got nothing that can be printed, expected letters");
  return shown;
}
