// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Kernel geometry: sizes, crops, strides and layouts of any value that pixel_kernels.hpp allows, every SIMD table
// against the scalar oracle to the bit, in memory that ends where the views end.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "finding.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/pixels/single/crop_resize.hpp"
#include "kernels/support/test_image.hpp"

namespace {

namespace kernels = medsam::kernels;
using medsam::fuzz::expect;
using Data = FuzzedDataProvider;

kernels::TestImage image(Data& data, kernels::PixelType type) {
  const auto layout =
      data.PickValueInArray({kernels::RowLayout::dense, kernels::RowLayout::padded, kernels::RowLayout::bottom_up});
  const std::int64_t height = data.ConsumeIntegralInRange(1, 90), width = data.ConsumeIntegralInRange(1, 140);
  return {type, height, width, data.ConsumeBool() ? 3 : 1, layout, data.ConsumeIntegral<std::uint32_t>()};
}

/// Some samples of any bits: NaN, infinities, denormals, the ends of the integer types.
void disturb(Data& data, kernels::TestImage& in) {
  const kernels::Pixels& p = in.pixels();
  const auto bytes = kernels::sample_bytes(p.type);
  for (int i = data.ConsumeIntegralInRange(0, 8); i > 0; --i) {
    const std::int64_t y = data.ConsumeIntegralInRange<std::int64_t>(0, p.height - 1);
    const std::int64_t x = data.ConsumeIntegralInRange<std::int64_t>(0, p.width * p.channels - 1);
    const auto bits = data.ConsumeIntegral<std::uint32_t>();
    std::memcpy(in.row(y) + static_cast<std::size_t>(x) * bytes, &bits, bytes);
  }
}

void resize(Data& data) {
  const auto type = data.PickValueInArray(kernels::kPixelTypes);
  kernels::TestImage in = image(data, type);
  disturb(data, in);
  const std::int64_t height = data.ConsumeIntegralInRange(1, 100), width = data.ConsumeIntegralInRange(1, 100);
  kernels::ResizeNormalizeParams params =
      kernels::resize_params(height, width, data.PickValueInArray(kernels::kInterpolations),
                             data.PickValueInArray(kernels::kNormalizations), data.ConsumeIntegralInRange(0, 20));
  if (data.ConsumeBool()) {  // no resampling
    params.new_height = in.pixels().height;
    params.new_width = in.pixels().width;
    params.out_size = std::max({params.out_size, params.new_height, params.new_width});
  }
  const std::vector<float> expected = kernels::run_resize(kernels::reference_table(), in.pixels(), params);
  for (const kernels::KernelTable* table : kernels::available_tables()) {
    const std::vector<float> got = kernels::run_resize(*table, in.pixels(), params);
    expect(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      expect(got[i] == expected[i] || (got[i] != got[i] && expected[i] != expected[i]));
    }
  }
}

void upsample(Data& data) {
  const std::int64_t unpadded_height = data.ConsumeIntegralInRange(1, 70),
                     unpadded_width = data.ConsumeIntegralInRange(1, 70);
  const std::int64_t stride = unpadded_width + data.ConsumeIntegralInRange(0, 5);
  const std::int64_t height = data.ConsumeIntegralInRange(1, 150), width = data.ConsumeIntegralInRange(1, 150);
  std::vector<float> logits(static_cast<std::size_t>((unpadded_height - 1) * stride + unpadded_width));
  std::mt19937 random(data.ConsumeIntegral<std::uint32_t>());
  kernels::fill_random(kernels::PixelType::f32, reinterpret_cast<std::byte*>(logits.data()),
                       static_cast<std::int64_t>(logits.size()), random);
  for (int i = data.ConsumeIntegralInRange(0, 8); i > 0; --i) {
    const auto bits = data.ConsumeIntegral<std::uint32_t>();
    std::memcpy(&logits[data.ConsumeIntegralInRange<std::size_t>(0, logits.size() - 1)], &bits, sizeof bits);
  }
  const auto type = data.PickValueInArray({kernels::LabelType::u8, kernels::LabelType::u16, kernels::LabelType::u32});
  const std::int64_t bytes = type == kernels::LabelType::u8 ? 1 : type == kernels::LabelType::u16 ? 2 : 4;
  const std::int64_t row = width * bytes + data.ConsumeIntegralInRange(0, 3) * bytes;
  const bool bottom_up = data.ConsumeBool();
  const float threshold = data.ConsumeBool() ? 0.0F : 0.5F;
  const std::uint32_t label = data.ConsumeIntegralInRange<std::uint32_t>(1, 255);
  std::vector<std::uint8_t> expected;
  kernels::MaskStats expected_stats{};
  for (const kernels::KernelTable* table : kernels::available_tables()) {  // the oracle first
    std::vector<std::uint8_t> map(static_cast<std::size_t>((height - 1) * row + width * bytes), 0xEE);
    const kernels::MaskStats stats = kernels::run_upsample(
        *table, {logits.data(), stride, unpadded_height, unpadded_width, height, width, threshold,
                 map.data() + (bottom_up ? (height - 1) * row : 0), type, bottom_up ? -row : row, label});
    if (expected.empty()) {
      expected = map;
      expected_stats = stats;
    }
    expect(map == expected && stats.area == expected_stats.area && stats.x0 == expected_stats.x0 &&
           stats.y0 == expected_stats.y0 && stats.x1 == expected_stats.x1 && stats.y1 == expected_stats.y1);
  }
}

void crop(Data& data) {
  const kernels::TestImage in = image(data, kernels::PixelType::u8);
  const std::int64_t side = data.ConsumeIntegralInRange(1, 80);
  std::vector<float> out(static_cast<std::size_t>(3 * side * side), -1.0F);
  kernels::ScratchMemory scratch(kernels::crop_resize_scratch(in.pixels(), side));
  kernels::crop_resize(in.pixels(), side, out.data(), scratch.data());
  for (const float value : out) expect(value >= -1e-6F && value <= 1.0F + 1e-5F);
}

void half(Data& data) {
  std::vector<float> in(data.ConsumeIntegralInRange<std::size_t>(1, 70));
  for (float& value : in) {
    const auto bits = data.ConsumeIntegral<std::uint32_t>();
    std::memcpy(&value, &bits, sizeof bits);
  }
  const auto n = static_cast<std::int64_t>(in.size());
  std::vector<std::uint16_t> expected;
  bool expected_finite = false;
  for (const kernels::KernelTable* table : kernels::available_tables()) {
    std::vector<std::uint16_t> out(in.size());
    const bool finite = table->to_f16(in.data(), out.data(), n);
    if (expected.empty()) {
      expected = out;
      expected_finite = finite;
    }
    expect(finite == expected_finite && (!finite || out == expected));
    if (!finite) continue;
    std::vector<float> back(in.size());
    table->from_f16(out.data(), back.data(), n);
    std::vector<std::uint16_t> again(in.size());
    expect(table->to_f16(back.data(), again.data(), n) && again == out);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  Data data(bytes, size);
  switch (data.ConsumeIntegralInRange(0, 7)) {
    case 0:
      half(data);
      break;
    case 1:
      crop(data);
      break;
    case 2:
    case 3:
    case 4:
      upsample(data);
      break;
    default:
      resize(data);
  }
  return 0;
}
