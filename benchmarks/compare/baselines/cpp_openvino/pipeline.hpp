// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A case to its labels by LiteMedSAM's published rules (bowang-lab/MedSAM LiteMedSAM:CVPR24_LiteMedSAM_infer.py), in
// the way of the challenge's C++ systems: one box a decode, every slice encoded once a volume (an LRU of 1024
// embeddings).
#pragma once

#include "model.hpp"
#include "npz/case.hpp"
#include "npz/segs_file.hpp"

namespace medsam::baseline {

/// Sizes of one image and of its copy in the encoder's input.
struct Frame {
  Frame(std::int64_t original_height, std::int64_t original_width);
  int height, width, new_height, new_width;
};

/// Resizes, normalizes and pads u8 pixels of 1 or 3 channels into the encoder's input. `pixels` are not written.
void preprocess(const std::uint8_t* pixels, int channels, const Frame& frame, float* out);

/// A box of the original image in the 256 frame, truncated.
ModelBox to_model_box(double x0, double y0, double x1, double y1, const Frame& frame);

/// Logits at the original size, f32 (H, W); > 0 is object.
cv::Mat decode_mask(Model& model, const ov::Tensor& embedding, const ModelBox& box, const Frame& frame);

/// Labels of a case whose imgs are u8; later boxes win.
npz::Segs segment(Model& model, const npz::Case& content);

}  // namespace medsam::baseline
