# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From a bundle to a faster one that is close enough: f16 and int8 graphs, and the certificates that allow them.

- certify: measures an approximation against f32
- half and half_bundle: f16; quantize and qdq: int8
- preprocessed and run_apart: the images of a calibration, and a process for a graph that may crash

Imports bundle and export; the commands import it.
"""
