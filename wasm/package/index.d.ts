// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.

/** Samples of an image or volume; the type of the array is that of the samples. f32 must be finite. */
export type Samples = Uint8Array | Uint8ClampedArray | Uint16Array | Int16Array | Float32Array;

/** A borrowed image (H, W) or (H, W, 3), row by row without gaps. */
export interface Image {
  data: Samples;
  height: number;
  width: number;
  /** 1 (gray, the default) or 3 (RGB, interleaved). */
  channels?: 1 | 3;
}

/** A borrowed volume (D, H, W), slice by slice without gaps. */
export interface Volume extends Image {
  /** Slices; 1 by default, an image. */
  depth?: number;
}

/** x0, y0, x1, y1 in pixels of the image; the ends are inclusive. */
export type Box = readonly [number, number, number, number] | Float64Array | Float32Array;

/** x0, y0, z0, x1, y1, z1 in voxels, inclusive; (0, 0, 0, -1, -1, -1) without any. */
export type VoxelBox = [number, number, number, number, number, number];

/** A bundle's files by their names: manifest.json and the native weights that it names. */
export type BundleFiles =
  | Map<string, Uint8Array | ArrayBuffer | Blob>
  | Record<string, Uint8Array | ArrayBuffer | Blob>;

export type StatusName =
  | "MEDSAM_INVALID_ARGUMENT"
  | "MEDSAM_MODEL_ERROR"
  | "MEDSAM_BACKEND_ERROR"
  | "MEDSAM_OUT_OF_MEMORY"
  | "MEDSAM_UNSUPPORTED"
  | "MEDSAM_CANCELLED";

/** What every function throws: one line with what was wrong, what was got, what was expected and what to do. */
export class MedsamError extends Error {
  readonly status: StatusName;
}

export interface EngineOptions {
  /** "clinical" (the default), another built-in profile, or "" for the bundle's own. */
  profile?: string;
  /** Modality of images for which none is given. */
  modality?: string;
  /**
   * "f32", which WebAssembly computes in alone; "auto" is the same here, for callers that say so everywhere. Every other
   * value is MEDSAM_UNSUPPORTED.
   */
  precision?: "f32" | "auto";
  /**
   * Threads that work on a call, the caller's among them: from 1 to 64; 0 (the default) = as many as there are cores, at
   * most 4. No result depends on it. Several need memory that workers share: node, or a page that is isolated from other
   * origins (`crossOriginIsolated`). Elsewhere there is one, which `info.threads` says.
   */
  threads?: number;
}

export interface EngineInfo {
  readonly version: string;
  readonly family: string;
  readonly profile: string;
  readonly precision: string;
  /** Threads that work on a call. */
  readonly threads: number;
  readonly encoderBackend: string;
  readonly decoderBackend: string;
  readonly modelHash: string;
  readonly fingerprint: string;
  readonly inputSize: number;
  /** (1, C, h, w). */
  readonly embeddingShape: readonly number[];
  /** (h, w) of the low-resolution logits. */
  readonly maskShape: readonly number[];
  readonly modalities: readonly string[];
  readonly experts: readonly string[];
  readonly needsModality: boolean;
  /** The named windows for CT, in Hounsfield units. */
  readonly ctWindows: Readonly<Record<string, { width: number; level: number }>>;
}

export interface ImageOptions {
  /** In any usual spelling ("X-Ray", "xray"); "" = the engine's. */
  modality?: string;
}

export interface WindowOptions {
  /**
   * A name of ctWindows, "percentile", "full", "WIDTH,LEVEL", "none"; or "" (the default), with which the modality decides,
   * and bytes and colors stay as they are.
   */
  window?: string;
  /** DICOM's code: "CT", "MR", ... */
  modality?: string;
  /** False if the values of a CT are not Hounsfield units. */
  hounsfield?: boolean;
  /** For each slice, the lowest and highest value of voxels without a measurement, or null. */
  padding?: readonly (readonly [number, number] | null)[];
}

export interface Windowed {
  /** (D, H, W) as bytes; the samples themselves where `unchanged`. */
  data: Samples;
  /** The values that become 0 and 255. */
  darkest: number;
  brightest: number;
  unchanged: boolean;
}

export interface PropagateOptions {
  axis?: 0 | 1 | 2;
  /** To which side of the key planes; "both" by default. */
  direction?: "both" | "up" | "down";
  /** The planes to which the object reaches; as far as `distance`, or the box's size, lets one expect by default. */
  first?: number;
  last?: number;
  /** How far beyond the outermost key planes, in mm. */
  distance?: number;
  /** After which no further plane is begun; what was reached stays. */
  seconds?: number;
  /** After each plane. What a callback throws ends the call, the session unchanged, and is thrown by it. */
  progress?: (done: number, total: number) => void;
  /** Before each plane: true ends the call with MEDSAM_CANCELLED, the session unchanged. */
  cancelled?: () => boolean;
  /** With each plane that is written, 1 where the object is: false begins no further one, and what was reached stays. */
  reached?: (index: number, mask: Uint8Array) => boolean | void;
}

export interface Prompt {
  box?: Box;
  /** label: 1 = on the object, 0 = beside it. At most 1024 points. */
  points?: readonly { x: number; y: number; label: 0 | 1 }[];
}

export interface Segmentation {
  height: number;
  width: number;
  /** (H, W): k + 1 where the object of boxes[k] is, 0 elsewhere. */
  labels: Uint16Array;
  /** Per box, before overlaps are resolved; an empty one has the box (0, 0, -1, -1). iou is the model's own estimate. */
  objects: { area: number; box: [number, number, number, number]; iou: number }[];
}

/** An encoded image. It belongs to engines with one thread, or to those with several, as the one that encoded it. */
export class Embedding {
  private constructor();
  readonly height: number;
  readonly width: number;
  /** (1, C, h, w). */
  readonly shape: number[];
  /** A copy, row-major. */
  values(): Float32Array;
  close(): void;
}

/** The answer to one prompt: one mask, or three alternatives. */
export class Prediction {
  private constructor();
  /** Masks: 1 or 3. */
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** (count, h, w). */
  readonly logitsShape: [number, number, number];
  /** (H, W): 1 where mask `index` is set. */
  mask(index?: number): Uint8Array;
  /** (count, h, w) in the model's frame, padding included; > 0 = object. */
  logits(): Float32Array;
  /** The model's own estimate of each mask's IoU. */
  iou(): Float32Array;
  close(): void;
}

/**
 * A loaded bundle. Calls return when they are done: in a page, call them in a worker. What is not closed is destroyed when
 * nobody holds it any more, at a time of the browser's choice; close what is large.
 */
export class Engine {
  private constructor();
  /** Loads a bundle from memory. Only native models run: a bundle of graphs alone is refused. */
  static load(files: BundleFiles, options?: EngineOptions): Promise<Engine>;
  /** Loads manifest.json and the weights that it names from below an address. */
  static fetch(address: string | URL, options?: EngineOptions & { signal?: AbortSignal }): Promise<Engine>;
  readonly info: EngineInfo;
  /** Resizes, normalizes and encodes an image, the expensive step. The same pixels are encoded once. */
  encode(image: Image, options?: ImageOptions): Embedding;
  predict(embedding: Embedding, prompt: Prompt, options?: { multimask?: boolean }): Prediction;
  /** One object per box. */
  segment(image: Image | Embedding, boxes: Iterable<Box>, options?: ImageOptions): Segmentation;
  /** A volume, or an image, of values of a scanner as it looks through a window: what the models were trained on. */
  windowed(volume: Volume, options?: WindowOptions): Windowed;
  /** Begins a session on a volume or an image, whose pixels are copied. */
  session(volume: Volume, options?: ImageOptions & { spacing?: readonly [number, number, number] }): Session;
  close(): void;
}

/** axis 0 = z, 1 = y, 2 = x of the array; coordinates are the remaining axes, last first. */
export interface Plane {
  axis?: 0 | 1 | 2;
  index?: number;
}

/**
 * One image or volume, any number of named objects, and the prompts with which a person draws and corrects them. What
 * changes something is one step of undo, and returns the box of the voxels that it changed.
 */
export class Session {
  private constructor();
  /** (D, H, W). */
  readonly shape: [number, number, number];
  addBox(object: string, box: Box, plane?: Plane): VoxelBox;
  addClick(object: string, point: readonly [number, number], options?: { positive?: boolean; plane?: Plane }): VoxelBox;
  addScribble(
    object: string,
    points: Iterable<readonly [number, number]>,
    options?: { positive?: boolean; plane?: Plane },
  ): VoxelBox;
  addLasso(object: string, points: Iterable<readonly [number, number]>, options?: { plane?: Plane }): VoxelBox;
  /** (D, H, W), nonzero where the object is; replaces its mask and its prompts. */
  addMask(object: string, mask: Uint8Array): VoxelBox;
  /** Carries an object from its key planes to those between and beyond them. */
  propagate(object: string, options?: PropagateOptions): VoxelBox;
  undo(): VoxelBox;
  redo(): VoxelBox;
  reset(): VoxelBox;
  remove(object: string): VoxelBox;
  /** Whether others are kept from the object's voxels, and the object from its own prompts. */
  lock(object: string, locked?: boolean): void;
  /**
   * Where a positive click of a new object would find it: (rows, columns) of the plane, 1 inside; null where there is no
   * answer at once, since the plane has not been encoded. Changes nothing.
   */
  previewClick(point: readonly [number, number], plane?: Plane): Uint8Array | null;
  /** (D, H, W), or the voxels of `box` alone: 1 where the object is. */
  mask(object: string, box?: VoxelBox): Uint8Array;
  /** (D, H, W): k + 1 where object k is. */
  labels(): Uint16Array;
  /** How often undo and redo have an effect. */
  steps(): { undo: number; redo: number };
  /** Of how many planes of an axis embeddings are held. */
  encoding(): { encoded: number; total: number };
  objects(): { name: string; voxels: number; prompts: number; locked: boolean; box: VoxelBox }[];
  close(): void;
}
