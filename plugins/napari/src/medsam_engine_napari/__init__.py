# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""medsam-engine in napari: boxes, clicks and lines become masks, in this process and without a server.

`image_planes` is the geometry, `session_controller` the work without Qt, `prompt_drawing` the mouse, and `widget` with
`worker_queue` the panel.
"""
