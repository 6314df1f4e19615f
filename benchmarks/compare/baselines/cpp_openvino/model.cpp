// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model.hpp"

#include <algorithm>

namespace medsam::baseline {

Model::Model(const ModelOptions& options) {
  core_.set_property("CPU", ov::hint::inference_precision(ov::element::f32));
  core_.set_property("CPU", ov::hint::execution_mode(ov::hint::ExecutionMode::ACCURACY));
  core_.set_property("CPU", ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY));
  core_.set_property("CPU", ov::hint::num_requests(1));
  if (options.threads > 0) core_.set_property("CPU", ov::inference_num_threads(options.threads));
  if (!options.cache_dir.empty()) core_.set_property(ov::cache_dir(options.cache_dir));
  encoder_ = core_.compile_model(options.models + "/encoder.xml", "CPU").create_infer_request();
  decoder_ = core_.compile_model(options.models + "/decoder.xml", "CPU").create_infer_request();
  input_ = encoder_.get_input_tensor();
  box_ = decoder_.get_tensor("boxes");
}

ov::Tensor Model::encode() {
  encoder_.infer();
  return encoder_.get_output_tensor();
}

cv::Mat Model::decode(const ov::Tensor& embedding, const ModelBox& box) {
  decoder_.set_tensor("image_embedding", embedding);
  std::copy(box.begin(), box.end(), box_.data<float>());
  decoder_.infer();
  return {kSide, kSide, CV_32FC1, decoder_.get_output_tensor().data<float>()};
}

}  // namespace medsam::baseline
