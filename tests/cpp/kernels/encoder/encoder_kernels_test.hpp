// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Every target of the encoder's kernels that this processor has.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/encoder/encoder_kernels.hpp"

namespace medsam::kernels {
using Floats = std::vector<float>;

inline double value_of(Bf16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }
inline double value_of(float value) { return value; }
inline double exact_gelu(double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// 64-byte aligned memory of `count` elements.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::int64_t count) : memory_(static_cast<std::size_t>(count) * sizeof(T) + 64) {}
  T* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
    return reinterpret_cast<T*>((at + 63) / 64 * 64);
  }
  T& operator[](std::int64_t i) { return data()[i]; }

 private:
  std::vector<std::byte> memory_;
};

class EncoderKernelsTest : public ::testing::TestWithParam<const EncoderTarget*> {
 protected:
  const EncoderTarget& kernels() { return *GetParam(); }

  Floats random(std::int64_t count, float scale = 1.F) {
    std::normal_distribution<float> normal(0.F, scale);
    Floats values(static_cast<std::size_t>(count));
    for (float& v : values) v = normal(generator_);
    return values;
  }

  /// Rows as the left operand of a product of either kind; NaN in the rows past the last, which must not matter.
  struct Left {
    Aligned<Bf16> rounded;
    Aligned<float> exact;
  };
  Left operand(const Floats& values, std::int64_t rows, std::int64_t in) {
    Left left{Aligned<Bf16>((rows + 32) * in), Aligned<float>((rows + 32) * in)};
    for (std::int64_t i = 0; i < (rows + 32) * in; ++i) {
      left.rounded[i] = {0x7FC0};
      left.exact[i] = i < rows * in ? values[static_cast<std::size_t>(i)] : std::nanf("");
    }
    kernels().round(values.data(), left.rounded.data(), rows * in);
    return left;
  }

  static ProductParams product_of(Left& left, const PackedMatrix& matrix, std::int64_t rows) {
    ProductParams params{};
    params.a = matrix.format() == Format::bf16 ? ConstRows(left.rounded.data(), matrix.in)
                                               : ConstRows(left.exact.data(), matrix.in);
    params.rows = rows;
    params.b = &matrix;
    return params;
  }

  std::mt19937 generator_{7};
};

inline std::string target_name(const ::testing::TestParamInfo<EncoderKernelsTest::ParamType>& param) {
  return std::string(param.param->target) + (param.param->fast_bf16 ? std::string("_") + param.param->name : "");
}

inline auto every_target() { return ::testing::ValuesIn(available_encoder_targets()); }

}  // namespace medsam::kernels
