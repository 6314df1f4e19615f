// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The order in which blocks read a right operand: block by block of 32 columns, in each chunk by chunk of 32 rows.
#include <algorithm>

#include "kernels/encoder/block_layout.hpp"
#include "kernels/encoder/packed_matrix.hpp"

namespace medsam::kernels {

namespace {

/// Two rows of a chunk, `count` columns of each; what lies past them stays zero.
void pack_pair(const float* first, const float* second, std::int64_t count, Bf16* to) {
  for (std::int64_t tile = 0; tile < count; tile += kTile, to += kTileElements) {
    const std::int64_t columns = std::min(kTile, count - tile);
    for (std::int64_t c = 0; c < columns; ++c) {
      to[2 * c] = rounded(first[tile + c]);
      to[2 * c + 1] = rounded(second[tile + c]);
    }
  }
}

}  // namespace

std::size_t PackedMatrix::bytes() const noexcept {
  const std::size_t elements = format() == Format::bf16
                                   ? std::get_if<std::vector<Bf16>>(&values)->capacity() * sizeof(Bf16)
                                   : std::get_if<std::vector<float>>(&values)->capacity() * sizeof(float);
  return elements + chunks.capacity() * sizeof(std::int64_t);
}

PackedMatrix pack_matrix(const float* matrix, std::int64_t in, std::int64_t out, Format format,
                         const std::vector<std::int64_t>& tap_offsets) {
  PackedMatrix packed;
  packed.in = in;
  packed.out = (out + kBlock - 1) / kBlock * kBlock;
  for (const std::int64_t offset : tap_offsets) {
    for (std::int64_t i = 0; i < in; i += kBlock) packed.chunks.push_back(offset + i);
  }
  const std::int64_t rows = static_cast<std::int64_t>(tap_offsets.size()) * in;
  const auto elements = static_cast<std::size_t>(rows * packed.out);
  // Calls put(two rows of a chunk, how many columns of them, where in the packed matrix the chunk begins, its row).
  const auto for_pairs = [&](const auto& put) {
    for (std::int64_t block = 0; block < packed.out; block += kBlock) {
      const std::int64_t columns = std::min(kBlock, out - block);
      for (std::int64_t row = 0; row < rows; row += 2) {
        const float* first = matrix + row * out + block;
        put(first, first + out, columns, block * rows + row / kBlock * kChunkElements, row % kBlock);
      }
    }
  };
  if (format == Format::bf16) {
    auto& values = packed.values.emplace<std::vector<Bf16>>(elements);
    for_pairs([&](const float* first, const float* second, std::int64_t columns, std::int64_t chunk, std::int64_t row) {
      pack_pair(first, second, columns, values.data() + chunk + row * kTile);
    });
  } else {
    auto& values = packed.values.emplace<std::vector<float>>(elements);
    for_pairs([&](const float* first, const float* second, std::int64_t columns, std::int64_t chunk, std::int64_t row) {
      float* to = values.data() + chunk + row * kBlock;
      std::copy_n(first, columns, to);
      std::copy_n(second, columns, to + kBlock);
    });
  }
  return packed;
}

PackedMatrix unpacked_matrix(std::int64_t in, std::int64_t out, Format format) {
  PackedMatrix packed;
  packed.in = in;
  packed.out = out;
  for (std::int64_t i = 0; i < in; i += kBlock) packed.chunks.push_back(i);
  const auto elements = static_cast<std::size_t>(in * out);
  if (format == Format::bf16) {
    packed.values.emplace<std::vector<Bf16>>(elements);
  } else {
    packed.values.emplace<std::vector<float>>(elements);
  }
  return packed;
}

namespace {

/// Fills the chunks, one after the other, with element_of(row, column).
template <class T, class ElementOf>
void pack_chunks(PackedMatrix& matrix, const ElementOf& element_of) noexcept {
  T* to = matrix.data<T>();
  constexpr std::int64_t kPair = kFormatOf<T> == Format::bf16 ? 2 : 1,
                         kWidth = kFormatOf<T> == Format::bf16 ? kTile : kBlock;
  for (std::int64_t block = 0; block < matrix.out; block += kBlock) {
    for (std::int64_t chunk = 0; chunk < matrix.in; chunk += kBlock) {
      for (std::int64_t tile = 0; tile < kBlock; tile += kWidth) {
        for (std::int64_t row = 0; row < kBlock; row += kPair) {
          for (std::int64_t c = 0; c < kWidth; ++c) {
            for (std::int64_t i = 0; i < kPair; ++i) *to++ = element_of(chunk + row + i, block + tile + c);
          }
        }
      }
    }
  }
}

template <class T>
void pack_rows_as(const ConstRows& rows, PackedMatrix& matrix) noexcept {
  const T* from = rows.at<T>(0);
  const std::int64_t width = matrix.out;
  pack_chunks<T>(matrix, [=](std::int64_t row, std::int64_t column) { return from[row * width + column]; });
}

template <class T>
void pack_columns_as(const ConstRows& rows, PackedMatrix& matrix) noexcept {
  const T* from = rows.at<T>(0);
  const std::int64_t width = matrix.in;
  pack_chunks<T>(matrix, [=](std::int64_t row, std::int64_t column) { return from[column * width + row]; });
}

}  // namespace

void pack_rows(const ConstRows& rows, PackedMatrix& matrix) noexcept {
  matrix.format() == Format::bf16 ? pack_rows_as<Bf16>(rows, matrix) : pack_rows_as<float>(rows, matrix);
}

void pack_columns(const ConstRows& rows, PackedMatrix& matrix) noexcept {
  matrix.format() == Format::bf16 ? pack_columns_as<Bf16>(rows, matrix) : pack_columns_as<float>(rows, matrix);
}

}  // namespace medsam::kernels
