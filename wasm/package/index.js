// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
export { Engine, Embedding, Prediction } from "./engine.js";
export { Session } from "./session.js";
export { MedsamError } from "./module.js";
