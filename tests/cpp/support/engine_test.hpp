// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fixture of the engine's tests: the tiny bundle, an empty cache, an image, a label map.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "medsam/engine.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bundle_ = testing::write_tiny_bundle(folder_.path("bundle"));
    options_.cache_dir = folder_.path("cache");
    options_.profile = "";  // the tiny bundle's own
  }

  // A 64 x 48 image of random bytes.
  ImageView image() {
    if (pixels_.empty()) {
      std::mt19937 random(1);
      pixels_.resize(64 * 48);
      for (auto& p : pixels_) p = static_cast<std::uint8_t>(random());
    }
    return {pixels_.data(), PixelType::u8, 48, 64, 1, 64};
  }
  static LabelView view(std::vector<std::uint16_t>& labels) {
    labels.assign(64 * 48, 999);
    return {labels.data(), LabelType::u16, 48, 64, 64 * 2};
  }

  testing::TemporaryFolder folder_;
  std::string bundle_;
  EngineOptions options_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace medsam
