// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine of the static page: in a worker of the page itself.
import { LocalEngine } from "./local_api.js";

export const engine = new LocalEngine();
