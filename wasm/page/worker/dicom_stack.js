// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whether DICOM slices are a volume without gaps, and its grid, by the rules of medsam_engine.io.dicom.planes.
import { cross, dot, fromColumns, norm } from "./grid.js";

const UNEVEN = 0.05; // share of a step by which neighbors may differ: scanners round positions to 0.01 or 0.1 mm

const minus = (a, b) => a.map((value, k) => value - b[k]);
const near = (a, b, relative, absolute) => a.every((value, k) => Math.abs(value - b[k]) <= absolute + relative * Math.abs(b[k]));
const spacings = ({ columnSpacing, rowSpacing }) => [columnSpacing, rowSpacing];

// `slices`: [{ name, plane }]. The grid, with the `order` of the slices in it: along their normal, ascending.
export function stackPlanes(slices, where) {
  for (const { name, plane } of slices) {
    if (!plane.position || !plane.directions) throw new Error(`series: got no position or orientation in ${name} of ${where}, expected both in every slice; open single files instead`);
    const first = slices[0].plane;
    // The tolerances of numpy.allclose, as the package has them.
    const same = near(plane.directions.flat(), first.directions.flat(), 1e-5, 1e-3) && near(spacings(plane), spacings(first), 1e-3, 1e-8);
    if (!same) throw new Error(`series: got slices of different orientation or spacing in ${where} (${slices[0].name}, ${name}), expected parallel ones; take localizers and reformats out of the folder`);
  }
  const first = slices[0].plane, normal = cross(...first.directions);
  const along = slices.map(({ plane }) => dot(plane.position, normal));
  const order = slices.map((_, k) => k).sort((a, b) => along[a] - along[b]);
  const places = order.map((k) => along[k]), names = order.map((k) => slices[k].name);
  const step = slices.length > 1 ? evenStep(places, names, where) : 0;
  const origin = slices[order[0]].plane.position;
  if (step) checkTilt(order.map((k) => minus(slices[k].plane.position, origin)), normal, Math.min(...spacings(first)), where);
  const between = step ? (places.at(-1) - places[0]) / (slices.length - 1) : (first.thickness ?? 1);
  return { order, spacing: [first.columnSpacing, first.rowSpacing, between], origin, direction: fromColumns(...first.directions, normal) };
}

function evenStep(places, names, where) {
  const steps = places.slice(1).map((place, k) => place - places[k]);
  const twin = steps.findIndex((step) => step < 0.01);
  if (twin >= 0) throw new Error(`series: got two slices in one place in ${where}, ${names[twin]} and ${names[twin + 1]} at ${places[twin].toFixed(2)} mm, expected one slice per position; separate the phases or repeats into folders`);
  // The low middle: of a set with gaps, the smaller step is the true one.
  const step = [...steps].sort((a, b) => a - b)[(steps.length - 1) >> 1];
  const gap = steps.findIndex((one) => Math.abs(one - step) > Math.max(UNEVEN * step, 0.01));
  if (gap >= 0) {
    const missing = Math.round(steps[gap] / step) - 1;
    throw new Error(`series: got a step of ${steps[gap].toFixed(2)} mm between ${names[gap]} (${places[gap].toFixed(2)} mm) and ${names[gap + 1]} (${places[gap + 1].toFixed(2)} mm) in ${where}, expected ${step.toFixed(2)} mm (${missing > 0 ? `about ${missing} missing` : "closer than the others"}); restore the slices or resample the series`);
  }
  const each = (places.at(-1) - places[0]) / (places.length - 1);
  const drift = Math.max(...places.map((place, k) => Math.abs(place - (places[0] + k * each))));
  if (drift > 0.5 * step) throw new Error(`series: got steps that add up to ${drift.toFixed(2)} mm off an even grid in ${where}, expected at most half a step of ${step.toFixed(2)} mm; resample the series`);
  return step;
}

function checkTilt(offsets, normal, pixel, where) {
  const worst = Math.max(...offsets.map((offset) => norm(minus(offset, normal.map((value) => value * dot(offset, normal))))));
  if (worst > 0.5 * pixel) throw new Error(`series: got slices that shift sideways by up to ${worst.toFixed(1)} mm in ${where}, expected a straight stack; correct the gantry tilt first`);
}
