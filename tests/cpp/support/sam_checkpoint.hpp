// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A SAM decoder as a checkpoint has it, with random weights, and what it computes in plain double precision: written
// from the formulas of segment_anything (Kirillov et al., arXiv 2304.02643), apart from the decoder's own code and
// folded weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace medsam::testing {

struct SamSizes {
  std::int64_t grid = 4, frame = 64;
  bool masks = true;          // whether mask inputs are taken
  const char* shift = "0.5";  // of coordinates, to the centers of pixels
  double epsilon = 1e-5;      // of the transformer's norms: torch's, or 1e-6
};

/// A tensor by torch's rules: a linear layer's weight is (out, in), a convolution's (out, in, height, width).
struct SamTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

struct SamCheckpoint {
  SamSizes sizes;
  std::map<std::string, SamTensor> tensors;
  [[nodiscard]] const SamTensor& at(const std::string& name) const { return tensors.at(name); }
};

/// The same for the same sizes and seed. Attention is far from even, so that a wrong score shows.
SamCheckpoint random_sam_checkpoint(const SamSizes& sizes = {}, std::uint32_t seed = 1);

/// Prompts about one image.
struct SamPrompts {
  std::int64_t prompts = 1, tokens = 1;
  std::vector<float> coords;         // (prompts, tokens, 2), pixels of the frame
  std::vector<std::int32_t> labels;  // (prompts, tokens)
  std::vector<float> mask_input;     // (prompts, 4 grid, 4 grid), or empty
  std::vector<std::int32_t> mask_index;

  /// Prompt `i` alone.
  [[nodiscard]] SamPrompts only(std::int64_t i) const;
};

/// Random ones of all labels; `sizes.masks`: with mask inputs.
SamPrompts random_sam_prompts(const SamSizes& sizes, std::int64_t prompts, std::int64_t tokens,
                              std::vector<std::int32_t> mask_index, std::uint32_t seed = 1);
/// (dim, grid, grid).
std::vector<float> random_sam_embedding(const SamSizes& sizes, std::uint32_t seed = 1);

struct SamAnswer {
  std::vector<double> logits;   // (prompts, masks, 4 grid, 4 grid)
  std::vector<double> quality;  // (prompts, masks)
};

/// The prompt encoder and the mask decoder. prompts.mask_input decides whether there is a mask.
SamAnswer decode_plainly(const SamCheckpoint& checkpoint, const std::vector<float>& embedding,
                         const SamPrompts& prompts);

}  // namespace medsam::testing
