// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Prompts, in pixels of the original image: x grows to the right, y grows downward, and pixel (0, 0) is at the top
// left.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace medsam {

/// A click. `label`: 1 = on the object, 0 = beside it, -1 = not a point (padding without effect on the result).
struct Point {
  double x = 0;   ///< Column, 0 <= x < W.
  double y = 0;   ///< Row, 0 <= y < H.
  int label = 1;  ///< 1, 0 or -1.
};

/// A box. Its ends are INCLUSIVE pixel indices, as in the MedSAM-on-laptop challenge, so x0 == x1 is a box one pixel
/// wide. An end equal to the image's size (x1 == W or y1 == H) is clamped to the last index. A box that is
/// reversed (x1 < x0), not finite or further outside raises InvalidArgument.
struct Box {
  double x0 = 0;  ///< First column.
  double y0 = 0;  ///< First row.
  double x1 = 0;  ///< Last column.
  double y1 = 0;  ///< Last row.
};

/// Strokes drawn on an object, in pixels of the original image: (H, W) bytes, nonzero where drawn. Borrowed.
struct ScribbleView {
  const std::uint8_t* data = nullptr;  ///< First byte of the top row.
  std::int64_t height = 0;             ///< H of the image.
  std::int64_t width = 0;              ///< W of the image.
  std::int64_t row_stride = 0;         ///< Bytes from one row to the next; at least the width.
};

/// The kinds of input that a prompt is made of. A combination of them is their bits or-ed: box | points.
enum class PromptKinds : std::uint8_t {
  none = 0,
  box = 1,
  points = 2,    ///< Points of label 1 or 0; those of label -1 are none.
  mask = 4,      ///< Logits of an earlier prediction, Prompt::mask_input.
  scribble = 8,  ///< Strokes, in either of the two ways in which Prompt takes them.
};

/// Both combinations together.
constexpr PromptKinds operator|(PromptKinds a, PromptKinds b) {
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): flags, whose combinations are values, too
  return static_cast<PromptKinds>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
/// What both combinations have.
constexpr PromptKinds operator&(PromptKinds a, PromptKinds b) {
  return static_cast<PromptKinds>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}

/// The kinds' names, as bundles, messages and Python write them.
inline constexpr std::pair<PromptKinds, const char*> kPromptKindNames[] = {{PromptKinds::box, "box"},
                                                                           {PromptKinds::points, "points"},
                                                                           {PromptKinds::mask, "mask"},
                                                                           {PromptKinds::scribble, "scribble"}};

/// One object to segment: a box, points, or both; optionally a mask or a scribble to start from. At least one of them.
/// What a model does not take (EngineInfo::accepts_*) is Unsupported, and so is a combination that its weights were not
/// trained with (EngineInfo::trained_prompts), unless PredictOptions::allow_untrained is set.
struct Prompt {
  std::optional<Box> box;     ///< A box around the object.
  std::vector<Point> points;  ///< Clicks, in any order; at most 1024.
  /// Low-resolution logits (h, w) row-major f32 as in Prediction::low_res_logits, of an earlier prediction on the same
  /// image; nullptr = none. Borrowed for the call. Of a model that takes scribbles: the strokes in the frame of
  /// low_res_logits, 1 where drawn and 0 elsewhere.
  const float* mask_input = nullptr;
  /// Strokes on the object, for models that take them (EngineInfo::accepts_scribble).
  std::optional<ScribbleView> scribble = std::nullopt;
};

}  // namespace medsam
