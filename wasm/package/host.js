// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/** Whether this is node, and not a page or its worker. */
export const IN_NODE = typeof process !== "undefined" && process.versions?.node !== undefined;
