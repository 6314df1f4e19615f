# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the module does, without Qt: MRML nodes in and out, a session of medsam-engine between.

`volume_geometry` turns world coordinates into voxels, `markup_prompts` markups into prompts, `segment_labelmaps` masks
into segments; `volume_session` connects them. Tested with slicer-core, outside of Slicer.
"""
