// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A native encoder's weights file is not trusted: whatever its numbers say, loading ends with a ModelError or with a
// model that runs within its memory (AddressSanitizer and ThreadSanitizer look on; fuzz/fuzz_weights.cpp has more).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "backends/native/weights.hpp"
#include "medsam/error.hpp"
#include "support/tiny_vit_file.hpp"
#include "support/weights_file_test.hpp"

namespace medsam::testing {
namespace {

using FusedFile = WeightsFileTest;

TEST_F(FusedFile, RunsAlikeOnAnyNumberOfThreads) {
  for (const std::int64_t window : {5, 16, 20}) {  // cut, whole and larger than the grid of 16
    const std::string path = written(tiny_vit_file({.window = window}).bytes());
    runs_alike(path, 32U * 16 * 16);
  }
}

TEST_F(FusedFile, ASmallFileMakesASmallModel) {
  for (const TinyVitSizes& sizes :
       {TinyVitSizes{.window = 32}, TinyVitSizes{.window = 20}, TinyVitSizes{.input = 64, .stride = 1, .window = 1}}) {
    const std::string path = written(tiny_vit_file(sizes).bytes());
    EXPECT_LE(loaded_size(path).bytes, largest_model(std::filesystem::file_size(path)));
  }
}

TEST_F(FusedFile, TablesOfManyBlocksAreBoundedBeforeMemoryIsAskedFor) {
  // Four kinds of windows of 31 x 31 and less in each block: 370 times the file, 4 GB of 11 MB, before there was a
  // bound.
  TinyVitFile file = tiny_vit_file({.input = 928, .stride = 2, .window = 31});
  refuses(file.bytes(), "its tables of windows would take");
  file = tiny_vit_file({.window = 16});  // a grid of 16: one kind of window, 0.3 MB a block
  const TinyVitFile one = file;
  for (int i = 1; i < 24; ++i) {
    const std::string prefix = "stages.1.blocks.0";
    for (const auto& [name, shape] : one.tensors) {
      if (name.rfind(prefix, 0) != 0) continue;
      file.tensors["stages.1.blocks." + std::to_string(i) + name.substr(prefix.size())] = shape;
    }
  }
  refuses(file.bytes(), "its tables of windows would take");
  // 2^20 windows of one token each, of which there is no list.
  const std::string path = written(tiny_vit_file({.input = 1024, .stride = 1, .window = 1}).bytes());
  EXPECT_LE(loaded_size(path).bytes, largest_model(std::filesystem::file_size(path)));
}

TEST_F(FusedFile, SizesAreBoundedBeforeMemoryIsAskedFor) {
  const std::string shape = "of another shape than this version computes";
  // 2^32 windows of one token each.
  refuses(tiny_vit_file({.input = 65536, .window = 1}).bytes(), shape);
  // 2^32 pairs of tokens.
  refuses(tiny_vit_file({.window = 256}).bytes(), shape);
  refuses(tiny_vit_file({.input = 33}).bytes(), shape);
  refuses(tiny_vit_file({.stride = 0}).bytes(), "\"strides\" of its header is not a list of integers from 1 to 65536");
  refuses(tiny_vit_file({.input = 65568, .window = 1}).bytes(), "\"input_size\" of its header is not a list");
  refuses(tiny_vit_file({.stride = 3}).bytes(), shape);
  refuses(tiny_vit_file({.input = 1024, .channels = 96}).bytes(),
          "\"patch_embed.1\" makes 96 channels of a grid of 1024");
  refuses(tiny_vit_file({.input = 1024, .neck = 1024}).bytes(), "\"neck.0\" makes 1024 channels of a grid of 514");
  refuses(tiny_vit_file({.input = 1024, .hidden = 1056}).bytes(),
          "1056 channels on a grid of 1024, expected at most 1024");
}

TEST_F(FusedFile, TensorsDoNotShareBytes) {
  const nlohmann::json tensor = {{"dtype", "F32"}, {"shape", {2, 32}}, {"data_offsets", {0, 256}}};
  refuses(safetensors(nlohmann::json{{"a", tensor}, {"b", tensor}}.dump(), 64), "its tensors overlap");
  // Bytes that no tensor names make no room for it, and a part is as much as the whole.
  nlohmann::json other = tensor;
  other["data_offsets"] = {128, 384};
  refuses(safetensors(nlohmann::json{{"a", tensor}, {"b", tensor}}.dump(), 512), "its tensors overlap");
  refuses(safetensors(nlohmann::json{{"a", tensor}, {"b", other}}.dump(), 512), "its tensors overlap");
}

TEST_F(FusedFile, WhatARunTakesForGrantedIsChecked) {
  TinyVitFile file = tiny_vit_file();
  file.tensors["stages.0.blocks.0.project.weight"] = {64, 64};
  file.tensors["stages.0.blocks.0.project.bias"] = {64};
  refuses(file.bytes(), "\"stages.0.blocks.0\" changes the number of channels");
  file = tiny_vit_file();
  file.tensors.erase("stages.1.blocks.0.qkv.bias");
  refuses(file.bytes(), "has no tensor \"stages.1.blocks.0.qkv.bias\"");
  file = tiny_vit_file();
  file.tensors["stages.1.blocks.0.fc2.weight"] = {64, 64};
  file.tensors["stages.1.blocks.0.fc2.bias"] = {64};
  refuses(file.bytes(), "\"stages.1.blocks.0\" changes the number of channels");
  file = tiny_vit_file();
  file.tensors["neck.1.weight"] = {9 * 32, 33};
  refuses(file.bytes(), "no multiple of 32");
}

TEST_F(FusedFile, ValuesThatAreNotFiniteAreRefused) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::string bytes = tiny_vit_file().bytes();
    std::memcpy(bytes.data() + bytes.size() - sizeof value, &value, sizeof value);
    refuses(bytes, "has values that are not finite");
  }
}

TEST_F(FusedFile, ATensorThatNothingUsesIsRefused) {
  TinyVitFile file = tiny_vit_file();
  file.tensors["stages.0.blocks.5.expand.bias"] = {64};
  refuses(file.bytes(), "\"stages.0.blocks.5.expand.bias\" that its network does not use");
  file = tiny_vit_file();
  file.tensors["neck.0.bias"] = {32};
  refuses(file.bytes(), "\"neck.0.bias\" that its network does not use");
}

TEST_F(FusedFile, AGridIsHalvedWhileItIsEven) {
  TinyVitFile file = tiny_vit_file();
  for (int stage = 1; stage < 6; ++stage) {
    for (const auto& [name, shape] : tiny_vit_file().tensors) {
      const std::string prefix = "stages.0.merge";
      if (name.rfind(prefix, 0) == 0) {
        file.tensors["stages." + std::to_string(stage) + ".merge" + name.substr(prefix.size())] = shape;
      }
    }
    file.about["windows"].push_back(1);
    file.about["strides"].push_back(stage < 5 ? 2 : 1);
  }
  EXPECT_EQ(encode(written(file.bytes()), 1, 1).size(), 32U) << "a grid of one";
  file.about["strides"].back() = 2;
  refuses(file.bytes(), "\"stages.5\" halves a grid of 1");
}

TEST_F(FusedFile, NamesOfTheFileDoNotBreakTheLine) {
  refuses(safetensors(
              nlohmann::json{{"a\nb\x1b[2J", {{"dtype", "F16"}, {"shape", {1}}, {"data_offsets", {0, 2}}}}}.dump(), 1),
          R"("a\nb\x1b[2J" is not f32)");
}

}  // namespace
}  // namespace medsam::testing
