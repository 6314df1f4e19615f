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

}  // namespace medsam::kernels
