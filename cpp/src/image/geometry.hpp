// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// All coordinate maths and rounding between an image and a model, once.
//
// Frames: image (pixels of the original), input (the encoder's S x S square), prompt (the square frame of the decoder's
// point_coords), mask (the L x L low-resolution logits). They differ by one scale per axis; with Fit::longest_side the
// image lies in the top left corner of each square, zeros right and below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "bundle/profile.hpp"
#include "medsam/image.hpp"
#include "medsam/prompt.hpp"

namespace medsam {

struct ImageGeometry {
  std::int64_t height = 0, width = 0;             // original image
  std::int64_t input_size = 0;                    // S
  double prompt_frame = 0;                        // side of the prompt frame
  std::int64_t new_height = 0, new_width = 0;     // the image inside the S x S input
  double prompt_scale_x = 1, prompt_scale_y = 1;  // image pixels -> prompt frame
  double point_shift = 0.5;                       // what the prompt encoder adds to a coordinate

  bool operator==(const ImageGeometry&) const = default;
};

/// The part of the low-resolution logits that shows the image.
struct UnpaddedSize {
  std::int64_t height = 0, width = 0;
};

/// Whole pixels of an image: columns [x0, x1), rows [y0, y1).
struct PixelBox {
  std::int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

/// The pixels that dong845/MCP-MedSAM infer.py get_contents cuts out for a checked box, image[y0:y1, x0:x1] of its
/// whole numbers: without the last row and column, but at least one pixel.
PixelBox pixel_box(const Box& box);

/// The same for the bounding box of a mask that is not empty, grown by `shift` on each side and clamped to the image as
/// get_bbox256 there does.
PixelBox grown_pixel_box(const MaskStats& mask, std::int64_t shift, std::int64_t height, std::int64_t width);

/// Where an image of (height, width) lies in the encoder's input. Sides are rounded half up, int(x * s + 0.5), as in
/// bowang-lab/MedSAM LiteMedSAM:CVPR24_LiteMedSAM_infer.py resize_longest_side, and are at least 1.
ImageGeometry image_geometry(std::int64_t height, std::int64_t width, std::int64_t input_size, double prompt_frame,
                             Fit fit, double point_shift = 0.5);

/// The crop of (low_height, low_width) logits that shows the image.
UnpaddedSize unpadded_size(const ImageGeometry& geometry, std::int64_t low_height, std::int64_t low_width);

/// The box with ends equal to the image's size clamped to the last index. InvalidArgument, naming box `index`, when an
/// end is not finite, reversed or outside.
Box checked_box(const Box& box, std::int64_t height, std::int64_t width, std::int64_t index);
/// The same of what an error calls `name`, a box_text.
Box checked_box(const Box& box, std::int64_t height, std::int64_t width, const std::string& name);

/// "(0, 0, 200, 10)", as errors show coordinates.
std::string numbers_text(std::initializer_list<double> numbers);

/// How an error begins: "boxes[3]: got (0, 0, 200, 10)". Counted from 0, as callers index their array.
std::string box_text(std::int64_t index, std::initializer_list<double> numbers);

/// InvalidArgument, naming point `index` of prompt `prompt`, when it is not finite, outside, or of an unknown label.
void check_point(const Point& point, std::int64_t height, std::int64_t width, std::int64_t prompt, std::int64_t index);

/// A point of the image in the prompt frame: x, y.
void map_point(const ImageGeometry& geometry, double x, double y, float out[2]);

/// A checked box in the prompt frame: x0, y0, x1, y1. All arithmetic in double.
void map_box(const ImageGeometry& geometry, const Box& box, BoxRounding rounding, float out[4]);

}  // namespace medsam
