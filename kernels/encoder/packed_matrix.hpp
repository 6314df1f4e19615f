// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The right operand of a product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "kernels/encoder/rows.hpp"

namespace medsam::kernels {

/// The right operand of a product, in the order in which blocks read it (block_layout.hpp).
struct PackedMatrix {
  std::variant<std::vector<Bf16>, std::vector<float>> values;
  std::vector<std::int64_t> chunks;  // where in a row of the left operand each chunk of 32 begins
  std::int64_t in = 0, out = 0;      // of the matrix; out rounded up to kBlock

  [[nodiscard]] Format format() const noexcept {
    return std::holds_alternative<std::vector<Bf16>>(values) ? Format::bf16 : Format::f32;
  }
  /// T is what format() says.
  template <class T>
  [[nodiscard]] const T* data() const noexcept {
    return std::get_if<std::vector<T>>(&values)->data();
  }
  template <class T>
  [[nodiscard]] T* data() noexcept {
    return std::get_if<std::vector<T>>(&values)->data();
  }
  /// Bytes of memory.
  [[nodiscard]] std::size_t bytes() const noexcept;
};

/// Packs `matrix` (taps * in, out), row-major; in a multiple of 32. Row t * in + i multiplies the left operand's
/// element tap_offsets[t] + i.
PackedMatrix pack_matrix(const float* matrix, std::int64_t in, std::int64_t out, Format format,
                         const std::vector<std::int64_t>& tap_offsets = {0});

/// Memory for a matrix (in, out), both multiples of 32, that is packed again and again.
PackedMatrix unpacked_matrix(std::int64_t in, std::int64_t out, Format format);

/// Packs rows of the matrix's own format into a matrix of unpacked_matrix: rows (in) of `out` channels as they are, or
/// rows (out) of `in` channels as the matrix's columns. Both dense. They allocate nothing.
void pack_rows(const ConstRows& rows, PackedMatrix& matrix) noexcept;
void pack_columns(const ConstRows& rows, PackedMatrix& matrix) noexcept;

}  // namespace medsam::kernels
