# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM: a file, a series, SEG and RTSTRUCT in; SEG out.

- the dataset: header, tags, quiet
- a frame: limit, compressed, codestream, jpeg_lossless, lossless_jpeg (claims that are checked before
  it is decoded), decoding, stored
- its values: rescale, tables, pixels
- an image: planes, file, folder, series
- segmentations: seg, seg_source, seg_boxes, rtstruct, references, polygon_extent, slice_grid

Imported by `formats`, `files` and `box_files` of medsam_engine.io; imports the modules there that know no format.
"""
