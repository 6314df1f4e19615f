// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fixture of tests of native encoders' weights files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "medsam/error.hpp"
#include "support/tiny_bundle.hpp"
#include "support/tiny_vit_file.hpp"

namespace medsam::testing {

class WeightsFileTest : public ::testing::Test {
 protected:
  std::string written(const std::string& bytes) {
    write_file(folder_.path("weights"), bytes);
    return folder_.path("weights");
  }
  std::string written(const TinyVitFile& file) { return written(file.bytes()); }
  /// Refused with these words, in one line.
  void refuses(const std::string& bytes, const std::string& words) {
    try {
      static_cast<void>(loaded_size(written(bytes)));
      FAIL() << "loaded; expected " << words;
    } catch (const ModelError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(words), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
  void refuses(const TinyVitFile& file, const std::string& words) { refuses(file.bytes(), words); }
  /// The embedding has so many values, finite and not all alike, whatever number of threads and callers.
  static void runs_alike(const std::string& path, std::size_t values) {
    const std::vector<float> alone = encode(path, 1, 1);
    EXPECT_EQ(alone.size(), values);
    EXPECT_TRUE(std::all_of(alone.begin(), alone.end(), [](float v) { return std::isfinite(v); }));
    EXPECT_GT(*std::max_element(alone.begin(), alone.end()), *std::min_element(alone.begin(), alone.end()));
    EXPECT_EQ(encode(path, 2, 1), alone);
    EXPECT_EQ(encode(path, 2, 3), alone) << "three callers at once on two threads";
  }
  TemporaryFolder folder_;
};

}  // namespace medsam::testing
