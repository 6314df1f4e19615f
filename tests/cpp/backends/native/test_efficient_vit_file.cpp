// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// An EfficientViT's weights file is not trusted, as test_weights_file.cpp says of a TinyViT's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "medsam/error.hpp"
#include "support/efficient_vit_file.hpp"
#include "support/weights_file_test.hpp"

namespace medsam::testing {
namespace {

using EfficientVitFile = WeightsFileTest;

TEST_F(EfficientVitFile, RunsAlikeOnAnyNumberOfThreads) {
  // Grids of 32 to 4 and of 16 to 2; the last is odd before it is halved to 1.
  for (const EfficientVitSizes& sizes : {EfficientVitSizes{}, EfficientVitSizes{.input = 32, .taps = 9},
                                         EfficientVitSizes{.input = 16, .attention = 64}}) {
    const std::string path = written(efficient_vit_file(sizes));
    runs_alike(path, 32U * 64 * 64);
  }
}

TEST_F(EfficientVitFile, ASmallFileMakesASmallModel) {
  for (const EfficientVitSizes& sizes : {EfficientVitSizes{}, EfficientVitSizes{.input = 256}}) {
    const std::string path = written(efficient_vit_file(sizes));
    EXPECT_LE(loaded_size(path).bytes, largest_model(std::filesystem::file_size(path)));
  }
}

TEST_F(EfficientVitFile, SizesAreBoundedBeforeMemoryIsAskedFor) {
  refuses(efficient_vit_file({.input = 65536}), "of another input size than this version computes");
  refuses(efficient_vit_file({.input = 33}), "of another input size than this version computes");
  refuses(efficient_vit_file({.input = 20}), "\"stages.2.merge\" halves a grid of 5");
  refuses(efficient_vit_file({.input = 1024}), "has a grid of 256, expected at most 64");
  TinyVitFile wide = efficient_vit_file({.input = 512});
  wide.tensors["stem.weight"] = {27, 4128};
  refuses(wide, "4128 channels on a grid of 256, expected at most 4096");
}

TEST_F(EfficientVitFile, WhatARunTakesForGrantedIsChecked) {
  const auto changed = [](const std::string& name, const std::vector<std::int64_t>& shape) {
    TinyVitFile file = efficient_vit_file();
    file.tensors[name] = shape;
    return file;
  };
  const auto without = [](const std::string& name) {
    TinyVitFile file = efficient_vit_file();
    file.tensors.erase(name);
    return file;
  };
  for (const char* name : {"stages.0.blocks.0.first", "stages.0.blocks.0.second", "stages.1.blocks.0.project",
                           "stages.3.blocks.0.proj", "neck.inputs.1", "neck.output"}) {
    const std::string bias = std::string(name) + ".bias";
    refuses(without(bias), "has no tensor \"" + bias + "\"");
  }
  refuses(without("stages.2.merge.project.weight"), "has 2 stages, expected 3 or more");
  refuses(without("stem.bias"), "has no tensor \"stem.bias\"");
  refuses(without("stages.1.blocks.0.spatial.bias"), "has no tensor \"stages.1.blocks.0.spatial.bias\"");
  refuses(without("stages.2.blocks.0.depthwise.bias"), "has no tensor \"stages.2.blocks.0.depthwise.bias\"");
  refuses(without("neck.inputs.1.weight"), "has no tensor \"neck.inputs.1.weight\"");
  refuses(changed("stages.3.blocks.0.scale.weight", {49, 96}), "is no convolution of 3x3 or 5x5");
  refuses(changed("stages.3.blocks.0.scale.weight", {}), "is no convolution of 3x3 or 5x5");
  refuses(changed("stages.3.blocks.0.groups.weight", {96, 16}), "expected (96, 32)");
  refuses(changed("stages.3.blocks.0.qkv.weight", {32, 64}), "expected (32, 96)");
  refuses(changed("stages.3.blocks.0.proj.weight", {32, 32}), "expected (64, 32)");
  refuses(changed("stages.0.blocks.0.second.weight", {288, 64}), "expected (64)");
  refuses(changed("stages.1.blocks.0.project.weight", {64, 32}), "changes the number of channels");
  refuses(changed("neck.inputs.1.weight", {32, 33}), "no multiple of 32");
  TinyVitFile file = changed("neck.inputs.1.weight", {32, 32});
  file.tensors["neck.inputs.1.bias"] = {32};
  refuses(file, "\"neck.inputs.1\" changes the number of channels");
}

TEST_F(EfficientVitFile, WhatTheNetworkDoesNotUseIsRefused) {
  TinyVitFile file = efficient_vit_file();
  file.tensors["stages.0.blocks.7.first.weight"] = {288, 64};
  refuses(file, "\"stages.0.blocks.7.first.weight\" that its network does not use");
  file = efficient_vit_file();
  auto node = file.tensors.extract("stages.3.blocks.0.qkv.weight");  // misspelled: the attention would be left out
  node.key() = "stages.3.blocks.0.qvk.weight";
  file.tensors.insert(std::move(node));
  refuses(file, "that its network does not use");
}

// A thread keeps a head's queries, keys and values of all tokens, three times: of 64 x 64 at most 4.5 MiB.
TEST_F(EfficientVitFile, AttentionHasNoLargerGridThanTheNeck) {
  TinyVitFile file = efficient_vit_file({.input = 256});
  const TinyVitFile one = file;
  for (const auto& [name, shape] : one.tensors) {
    const std::string prefix = "stages.3.blocks.0.";
    if (name.rfind(prefix, 0) == 0) file.tensors["stages.0.blocks.1." + name.substr(prefix.size())] = shape;
  }
  refuses(file, "\"stages.0.blocks.1\" has a grid of 128, expected at most 64");
}

}  // namespace
}  // namespace medsam::testing
