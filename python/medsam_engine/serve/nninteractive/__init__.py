# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""nnInteractive's remote protocol 2.6, which napari-nninteractive, SlicerNNInteractive and MITK speak (docs/serve.md).

Written from a description of the wire; no code of nnInteractive's is used.

- routes, messages: the endpoints, and what requests say
- client_state: what belongs to one lease
- drawing, interactions: what is drawn, and what each interaction does
- parts, strokes, geometry: pieces of an object, lines out of masks, coordinates
- capabilities: what the model can do
"""
