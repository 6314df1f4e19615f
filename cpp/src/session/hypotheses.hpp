// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The model's answers to several boxes (or other prompts) about one plane.
#pragma once

#include <cstdint>
#include <vector>

#include "medsam/session.hpp"
#include "model/prediction.hpp"
#include "session/mask.hpp"
#include "session/plane_embeddings.hpp"
#include "session/plane_image.hpp"

namespace medsam::session {

/// Answers to prompts about one plane, in the prompts' order. Immutable.
class Hypotheses {
 public:
  Hypotheses(Prediction prediction, const EncodedSize& size);

  [[nodiscard]] std::int64_t size() const { return prediction_.size(); }
  /// The model's own estimate of the IoU.
  [[nodiscard]] float rating(std::int64_t n) const { return prediction_.iou_predictions()[n]; }
  /// The mask in the plane's own pixels.
  [[nodiscard]] PlaneMask mask(std::int64_t n) const;
  /// The logits at the plane's pixels, linear between those of the model: (rows, columns) of `region`.
  [[nodiscard]] std::vector<float> logits(std::int64_t n, const PixelRegion& region) const;

  /// The model's own logits where they show the plane: rows, columns, and from one row to the next.
  struct LowResolution {
    const float* values;
    std::int64_t rows, columns, stride;
  };
  [[nodiscard]] LowResolution low_resolution(std::int64_t n) const;
  /// All of an answer's logits, padding too, as a prompt's mask_input takes them.
  [[nodiscard]] std::vector<float> carried(std::int64_t n) const;
  /// How many logits a mask has, padding included, and the mask of so many in place of an answer's.
  [[nodiscard]] std::int64_t logits_size() const { return prediction_.low_res_height() * prediction_.low_res_width(); }
  [[nodiscard]] PlaneMask mask_of(const std::vector<float>& logits) const;

 private:
  [[nodiscard]] PlaneMask written(const LogitMap& logits) const;

  Prediction prediction_;
  EncodedSize size_;
};

/// What a session asks the model with: prompts in the pixels of a plane. Thread-safe.
class PlaneModel {
 public:
  /// All must outlive it.
  PlaneModel(const Engine& engine, const Grid& grid, PlaneEmbeddings& embeddings)
      : engine_(engine), grid_(grid), embeddings_(embeddings) {}

  /// Boxes with ends inside the plane.
  [[nodiscard]] Hypotheses boxes(const Plane& plane, const std::vector<Box>& boxes) const;
  /// The mask of one box as Engine::segment makes it: of a plane that is a whole 2D image, in the image's own pixels,
  /// by the profile's windows, too.
  [[nodiscard]] PlaneMask box_mask(const Plane& plane, const Box& box, const Pixels& pixels) const;
  /// One prompt of clicks, of a box or of both, for weights that were trained with it; with the logits of an answer
  /// before, unless they are empty.
  [[nodiscard]] Hypotheses prompt(const Plane& plane, const std::vector<PlanePoint>& positive,
                                  const std::vector<PlanePoint>& negative, const std::optional<Box>& box,
                                  const std::vector<float>& carried) const;
  /// A mask as if it were an answer: logits of -10 to 10 by the share of a cell that it covers.
  [[nodiscard]] std::vector<float> carried(const Plane& plane, const PlaneMask& mask) const;
  /// The size of the model's logits where they show the plane, known without asking it anything.
  struct Size {
    std::int64_t rows, columns;
  };
  [[nodiscard]] Size low_resolution(const Plane& plane) const;
  /// Whether the weights were trained with prompts of these kinds.
  [[nodiscard]] bool knows(PromptKinds kinds) const;

 private:
  const Engine& engine_;
  const Grid& grid_;
  PlaneEmbeddings& embeddings_;
};

}  // namespace medsam::session
