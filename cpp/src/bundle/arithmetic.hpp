// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The arithmetics that a stage may compute in: one table, with the words that users, certificates and stored choices
// use for them (docs/precision.md). Other code asks for their properties and does not compare the words.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace medsam {

enum class Stage : std::uint8_t { encoder, decoder };

/// How far the results are from those of the exported graph in f32.
enum class Exactness : std::uint8_t {
  exact,      // that graph in f32
  reordered,  // f32 too, summed in another order
  rounded     // an approximation
};

/// The names of the arithmetics on this library's own kernels: products of bf16 operands, or of f32.
inline constexpr const char *kBf16Fused = "bf16_fused", *kF32Fused = "f32_fused";

/// An arithmetic: its word, and what is true of it for all bundles and machines.
struct Arithmetic {
  const char* name = "";
  bool decoders = false;    // whether decoders are computed in it, too
  bool word_alone = false;  // whether it may be the whole of EngineOptions::precision, not only half of a pair
  Exactness exactness = Exactness::rounded;
  int speed = 2;        // rank within a stage: of two that are certified, "auto" takes the faster one
  bool by_rank = true;  // false: "auto" takes it only where `medsam-engine tune` measured that it is the fastest
  const char* certificate_key = "";  // the field of a certificate that names the files it was measured on
  bool own_file = false;             // whether it always has files of its own, which a certificate then must name
  bool own_kernels = false;          // whether it is computed by this library's kernels, from weights without a graph
  bool portable = false;             // whether a certificate that names files holds on every backend and device
  const char* other_files = "";      // refusal of a certificate that names other files than those here
  const char* none_here = "";        // refusal where there is nothing to run
};

/// All of them, in the order in which messages list them.
std::span<const Arithmetic> arithmetics();
/// The one of that name; null where a stage is never computed in it.
const Arithmetic* find_arithmetic(Stage stage, std::string_view name);
/// What a stage may be computed in, as messages list it: "f32 | bf16 | f16".
std::string arithmetic_names(Stage stage);

}  // namespace medsam
