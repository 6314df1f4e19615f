// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A CUDA table as a kernels::KernelTable, so that the sweeps written for the CPU's tables run over it: every argument
// is carried to memory of exactly its size, and results back. `Place` says where that memory is and which table works
// on it:
//   static const cuda::Table& table();  static cuda::Stream stream();
//   class Buffer { Buffer(const void* from, std::size_t bytes); void* data(); void fetch(void* to); }  // fetch waits
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kernels/pixels/cuda/cuda_kernels.hpp"
#include "kernels/pixels/math/resize_plan.hpp"
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {

/// Rows of memory, the last of which ends with its last byte; the first row is the last in memory where stride < 0.
struct Rows {
  std::int64_t count, bytes, stride;

  std::size_t span() const { return static_cast<std::size_t>((count - 1) * std::abs(stride) + bytes); }
  /// From the lowest address to the first row.
  std::int64_t first() const { return stride < 0 ? (count - 1) * -stride : 0; }
};

template <class Place>
class Adapted {
 public:
  static KernelTable table(const char* name) {
    return {name,     Place::table().resize_normalize_workspace,
            resize,   Place::table().upsample_threshold_workspace,
            upsample, to_f16,
            from_f16, nullptr};
  }
  static CudaOnly only(const char* name) { return {name, all_finite, upsample_square}; }

 private:
  using Buffer = typename Place::Buffer;

  static void expect_queued(cuda::Status status) {
    EXPECT_EQ(static_cast<int>(status.code), static_cast<int>(cuda::Status::Code::queued))
        << (status.message != nullptr ? status.message : "no message");
  }

  static bool resize(const Pixels& image, const ResizeNormalizeParams& params, float* out, void* scratch) noexcept {
    const cuda::Table& table = Place::table();
    const Rows rows{image.height, image.width * image.channels * static_cast<std::int64_t>(pixel_bytes(image.type)),
                    image.row_stride};
    const auto planes = static_cast<std::size_t>(3 * params.out_size * params.out_size) * sizeof(float);
    std::int32_t finite = -1;
    Buffer pixels(static_cast<const std::byte*>(image.data) - rows.first(), rows.span());
    Buffer result(out, planes), flag(&finite, sizeof finite);
    Buffer workspace(scratch, table.resize_normalize_workspace(image, params));
    Pixels there = image;
    there.data = static_cast<std::byte*>(pixels.data()) + rows.first();
    expect_queued(table.resize_normalize(there, params, static_cast<float*>(result.data()),
                                         static_cast<std::int32_t*>(flag.data()), workspace.data(), Place::stream()));
    result.fetch(out);
    flag.fetch(&finite);
    EXPECT_TRUE(finite == 0 || finite == 1) << finite;
    return finite == 1;
  }

  static MaskStats upsample(const UpsampleThresholdParams& params, void* scratch) noexcept {
    const cuda::Table& table = Place::table();
    const std::int64_t label = params.label_type == LabelType::u8 ? 1 : params.label_type == LabelType::u16 ? 2 : 4;
    const Rows rows{params.height, params.width * label, params.out_row_stride};
    const Rows logit_rows{params.unpadded_height, params.unpadded_width * 4, params.logits_stride * 4};
    auto* labels = static_cast<std::byte*>(params.out) - rows.first();
    cuda::MaskCounts counts{77, 7, 7, 7, 7};
    Buffer logits(params.logits, logit_rows.span()), map(labels, rows.span()), result(&counts, sizeof counts);
    Buffer workspace(scratch, table.upsample_threshold_workspace(params));
    UpsampleThresholdParams there = params;
    there.logits = static_cast<const float*>(logits.data());
    there.out = static_cast<std::byte*>(map.data()) + rows.first();
    expect_queued(table.upsample_threshold(there, static_cast<cuda::MaskCounts*>(result.data()), workspace.data(),
                                           Place::stream()));
    map.fetch(labels);
    result.fetch(&counts);
    return cuda::stats_of(counts);
  }

  static bool all_finite(const float* values, std::int64_t n) {
    std::int32_t finite = -1;
    Buffer from(values, static_cast<std::size_t>(n) * sizeof(float)), flag(&finite, sizeof finite);
    expect_queued(Place::table().all_finite(static_cast<const float*>(from.data()), n,
                                            static_cast<std::int32_t*>(flag.data()), Place::stream()));
    flag.fetch(&finite);
    EXPECT_TRUE(finite == 0 || finite == 1) << finite;
    return finite == 1;
  }

  static void upsample_square(const float* in, std::int64_t height, std::int64_t width, std::int64_t side, float* out) {
    Buffer from(in, static_cast<std::size_t>(height * width) * sizeof(float));
    Buffer to(out, static_cast<std::size_t>(side * side) * sizeof(float));
    expect_queued(Place::table().upsample_square(static_cast<const float*>(from.data()), height, width, side,
                                                 static_cast<float*>(to.data()), Place::stream()));
    to.fetch(out);
  }

  static bool to_f16(const float* in, std::uint16_t* out, std::int64_t n) noexcept {
    const auto count = static_cast<std::size_t>(n);
    std::int32_t fits = -1;
    Buffer from(in, count * sizeof(float)), to(out, count * 2), flag(&fits, sizeof fits);
    expect_queued(Place::table().to_f16(static_cast<const float*>(from.data()), static_cast<std::uint16_t*>(to.data()),
                                        n, static_cast<std::int32_t*>(flag.data()), Place::stream()));
    to.fetch(out);
    flag.fetch(&fits);
    EXPECT_TRUE(fits == 0 || fits == 1) << fits;
    return fits == 1;
  }

  static void from_f16(const std::uint16_t* in, float* out, std::int64_t n) noexcept {
    const auto count = static_cast<std::size_t>(n);
    Buffer from(in, count * 2), to(out, count * sizeof(float));
    expect_queued(Place::table().from_f16(static_cast<const std::uint16_t*>(from.data()),
                                          static_cast<float*>(to.data()), n, Place::stream()));
    to.fetch(out);
  }
};

}  // namespace medsam::kernels
