// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Encoder and decoder in OpenVINO, with the settings of hieplpvip/medficientsam:cpp/src/main.cpp.
#pragma once

#include <openvino/openvino.hpp>

#include <opencv2/core.hpp>

#include <array>
#include <string>

namespace medsam::baseline {

constexpr int kSide = 256;

using ModelBox = std::array<float, 4>;  ///< x0, y0, x1, y1 in the 256 frame.

struct ModelOptions {
  std::string models;     ///< Folder of encoder.xml and decoder.xml.
  std::string cache_dir;  ///< Compiled models.
  int threads = 0;        ///< 0 = OpenVINO's choice.
};

class Model {
 public:
  explicit Model(const ModelOptions& options);

  /// The encoder's input, (3, 256, 256) f32; written by the caller before encode().
  [[nodiscard]] float* input() { return input_.data<float>(); }
  /// OpenVINO's own buffer, overwritten by the next call.
  ov::Tensor encode();
  /// Logits (256, 256) of one box; OpenVINO's own buffer.
  cv::Mat decode(const ov::Tensor& embedding, const ModelBox& box);

 private:
  ov::Core core_;
  ov::InferRequest encoder_, decoder_;
  ov::Tensor input_, box_;
};

}  // namespace medsam::baseline
