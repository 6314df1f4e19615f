// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/arithmetic.hpp"

#include <algorithm>
#include <array>

namespace medsam {

namespace {

constexpr const char* kOtherFused = "its certificate is for other fused weights or other kernels";
constexpr const char* kNoFused = "this bundle has no fused weights for that, or this device no fast products for them";

constexpr std::array kArithmetics{
    Arithmetic{.name = "f32", .decoders = true, .word_alone = true, .exactness = Exactness::exact, .speed = 0},
    Arithmetic{.name = kF32Fused,
               .decoders = true,
               .exactness = Exactness::reordered,
               .speed = 1,
               .certificate_key = "fused",
               .own_file = true,
               .own_kernels = true,
               .other_files = kOtherFused,
               .none_here = kNoFused},
    Arithmetic{.name = "bf16", .decoders = true, .word_alone = true},
    Arithmetic{.name = "bf16_mixed"},
    Arithmetic{.name = kBf16Fused,
               .decoders = true,
               .speed = 3,
               .certificate_key = "fused",
               .own_file = true,
               .own_kernels = true,
               .other_files = kOtherFused,
               .none_here = kNoFused},
    // Where the bundle has f16 graphs, what was measured is the rounding that their own types ask for; bf16 and int8
    // are what a backend makes of them.
    Arithmetic{.name = "f16",
               .decoders = true,
               .word_alone = true,
               .certificate_key = "f16",
               .portable = true,
               .other_files = "its certificate is for f16 graphs that are not run here"},
    // Whether it is faster than bf16 differs by processor and graph.
    Arithmetic{.name = "int8",
               .word_alone = true,
               .by_rank = false,
               .certificate_key = "quantized",
               .own_file = true,
               .other_files = "its certificate is for other model files",
               .none_here = "this bundle has no int8 encoder, which `medsam-engine quantize` makes"},
};

}  // namespace

std::span<const Arithmetic> arithmetics() { return kArithmetics; }

const Arithmetic* find_arithmetic(Stage stage, std::string_view name) {
  const auto found = std::find_if(kArithmetics.begin(), kArithmetics.end(), [&](const Arithmetic& arithmetic) {
    return arithmetic.name == name && (arithmetic.decoders || stage == Stage::encoder);
  });
  return found == kArithmetics.end() ? nullptr : &*found;
}

std::string arithmetic_names(Stage stage) {
  std::string names;
  for (const Arithmetic& arithmetic : kArithmetics) {
    if (find_arithmetic(stage, arithmetic.name) == nullptr) continue;
    names.append(names.empty() ? "" : " | ").append(arithmetic.name);
  }
  return names;
}

}  // namespace medsam
