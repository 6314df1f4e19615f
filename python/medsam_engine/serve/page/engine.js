// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine of this page. The static page (wasm/page) has a file of this name in its place, and all others as they are here.
import { HttpEngine } from "./api.js";

export const engine = new HttpEngine();
