// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "stages.hpp"

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

#include "pipeline.hpp"

namespace medsam::baseline {

void serve_stages(Model& model, const npz::Case& content) {
  const Frame frame(content.height, content.width);
  const auto encode = [&] {
    preprocess(content.imgs.data(), content.channels, frame, model.input());
    return model.encode();
  };
  const auto mask = [&](const ov::Tensor& embedding, const Box& box) {
    return cv::Mat(decode_mask(model, embedding, to_model_box(box.x0, box.y0, box.x1, box.y1, frame), frame) > 0);
  };
  ov::Tensor embedding = encode();
  std::cout << "ready" << std::endl;
  for (std::string step; std::getline(std::cin, step);) {
    const auto begin = std::chrono::steady_clock::now();
    if (step == "encode") {
      embedding = encode();
    } else if (step == "prompt") {
      mask(embedding, content.boxes.front());
    } else if (step == "batch") {
      for (const Box& box : content.boxes) mask(embedding, box);
    } else {
      throw std::invalid_argument("stages: got \"" + step + "\", expected encode, prompt or batch");
    }
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() << std::endl;
  }
}

}  // namespace medsam::baseline
