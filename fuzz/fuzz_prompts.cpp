// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Images, prompts, boxes and volumes through a whole engine over the fake backend, geometry of any value: the engine
// answers or raises medsam::Error, writes nothing but labels of the call into the label map and nothing outside it.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "finding.hpp"
#include "medsam/engine.hpp"
#include "support/tiny_bundle.hpp"

namespace {

using medsam::fuzz::expect;
using Data = FuzzedDataProvider;

const medsam::Engine& engine(bool own_profile) {
  static const medsam::testing::TemporaryFolder temporary;
  const auto make = [](const std::string& profile) {
    medsam::EngineOptions options;
    options.cache_dir = "none";
    options.cache_bytes = 1 << 16;
    options.profile = profile;
    return medsam::Engine(medsam::testing::copy_bundle("tiny_bundle", temporary.path("bundle")), options);
  };
  static const medsam::Engine published = make(""), clinical = make("clinical");
  return own_profile ? published : clinical;
}

/// Mostly a coordinate near the image, sometimes any double at all.
double coordinate(Data& data) {
  switch (data.ConsumeIntegralInRange(0, 7)) {
    case 0:
      return data.ConsumeFloatingPoint<double>();
    case 1: {
      const auto bits = data.ConsumeIntegral<std::uint64_t>();
      double value;
      std::memcpy(&value, &bits, sizeof value);
      return value;
    }
    case 2:
      return data.ConsumeFloatingPointInRange(-2.0, 70.0);
    default:
      return data.ConsumeIntegralInRange(-1, 70);
  }
}

/// A stride: mostly right, sometimes one that no memory has. (Others may only be used by a host that has the memory.)
std::int64_t stride(Data& data, std::int64_t right) {
  constexpr std::int64_t kBeyond = std::int64_t{1} << 43;
  switch (data.ConsumeIntegralInRange(0, 31)) {
    case 0:
      return data.ConsumeIntegralInRange(kBeyond, std::numeric_limits<std::int64_t>::max());
    case 1:
      return data.ConsumeIntegralInRange(std::numeric_limits<std::int64_t>::min(), -kBeyond);
    default:
      return right;
  }
}

medsam::Box box(Data& data) { return {coordinate(data), coordinate(data), coordinate(data), coordinate(data)}; }

/// Memory of its own with exactly the bytes of the views, so that the sanitizer sees a step beside it.
struct Scene {
  std::int64_t depth, height, width;
  int channels;
  medsam::PixelType type;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint16_t> labels;
  medsam::VolumeView volume;
  medsam::LabelVolumeView out;
};

Scene scene(Data& data) {
  Scene s{};
  s.depth = data.ConsumeIntegralInRange(1, 5);
  s.height = data.ConsumeIntegralInRange(1, 66);
  s.width = data.ConsumeIntegralInRange(1, 66);
  s.channels = data.ConsumeBool() ? 3 : 1;
  s.type = data.PickValueInArray(
      {medsam::PixelType::u8, medsam::PixelType::u16, medsam::PixelType::i16, medsam::PixelType::f32});
  const std::int64_t bytes = s.type == medsam::PixelType::u8 ? 1 : s.type == medsam::PixelType::f32 ? 4 : 2;
  const std::int64_t row = s.width * s.channels * bytes;
  s.pixels.resize(static_cast<std::size_t>(s.depth * s.height * row));
  s.labels.assign(static_cast<std::size_t>(s.depth * s.height * s.width), 0xEEEE);
  std::uint32_t state = data.ConsumeIntegral<std::uint32_t>();
  for (std::uint8_t& p : s.pixels) p = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  s.volume = {s.pixels.data(), s.type,     s.depth,           s.height,
              s.width,         s.channels, stride(data, row), stride(data, s.height * row)};
  s.out = {s.labels.data(),
           medsam::LabelType::u16,
           s.depth,
           s.height,
           s.width,
           stride(data, s.width * 2),
           stride(data, s.height * s.width * 2)};
  return s;
}

void expect_labels(const Scene& s, std::size_t objects) {
  for (const std::uint16_t label : s.labels) expect(label <= objects);
}

void volumes(Data& data, const medsam::Engine& e, Scene& s) {
  std::vector<medsam::Box3D> boxes;
  const int count = data.ConsumeIntegralInRange(0, 4);
  for (int i = 0; i < count; ++i) {
    const medsam::Box b = box(data);
    boxes.push_back({b.x0, b.y0, coordinate(data), b.x1, b.y1, coordinate(data)});
  }
  medsam::VolumeOptions options;
  int asked = 0;
  const int give_up = data.ConsumeIntegralInRange(0, 20);
  options.cancelled = [&] { return ++asked == give_up; };
  const auto stats = e.segment_volume(s.volume, boxes, s.out, options);
  expect(stats.size() == boxes.size());
  expect_labels(s, boxes.size());
  for (const medsam::VolumeStats& v : stats) {
    expect(v.voxels >= 0 && v.voxels <= s.depth * s.height * s.width);
    expect(v.voxels == 0 || (v.z0 >= 0 && v.z1 < s.depth && v.x0 >= 0 && v.x1 < s.width));
  }
}

void images(Data& data, const medsam::Engine& e, Scene& s) {
  const medsam::ImageView image{s.volume.data, s.type, s.height, s.width, s.channels, s.volume.row_stride};
  const medsam::LabelView out{s.out.data, s.out.type, s.height, s.width, s.out.row_stride};
  s.labels.resize(static_cast<std::size_t>(s.height * s.width));
  std::vector<medsam::Box> boxes;
  const int count = data.ConsumeIntegralInRange(0, 6);
  for (int i = 0; i < count; ++i) boxes.push_back(box(data));
  const auto stats = e.segment(image, boxes, out);
  expect(stats.size() == boxes.size());
  expect_labels(s, boxes.size());
}

void prompts(Data& data, const medsam::Engine& e, const Scene& s) {
  const medsam::ImageView image{s.volume.data, s.type, s.height, s.width, s.channels, s.volume.row_stride};
  const medsam::ImageEmbedding embedding = e.encode(image);
  std::vector<float> mask(static_cast<std::size_t>(e.info().mask_shape[0] * e.info().mask_shape[1]));
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = data.ConsumeFloatingPoint<float>();
  std::vector<medsam::Prompt> list(data.ConsumeIntegralInRange<std::size_t>(0, 6));
  for (medsam::Prompt& prompt : list) {
    if (data.ConsumeBool()) prompt.box = box(data);
    prompt.points.resize(data.ConsumeIntegralInRange<std::size_t>(0, 4));
    for (medsam::Point& point : prompt.points) {
      point = {coordinate(data), coordinate(data), data.ConsumeIntegralInRange(-2, 2)};
    }
    if (data.ConsumeBool()) prompt.mask_input = mask.data();
  }
  const medsam::Prediction answer = e.predict(embedding, list, {data.ConsumeBool(), nullptr});
  expect(answer.size() == static_cast<std::int64_t>(list.size()));
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(s.height * s.width));
  for (std::int64_t n = 0; n < answer.size(); ++n) {
    const auto stats = answer.write_mask(n, 0, {labels.data(), medsam::LabelType::u8, s.height, s.width, s.width});
    expect(stats.area >= 0 && stats.area <= s.height * s.width);
    expect(stats.area == 0 || (stats.x0 >= 0 && stats.y0 >= 0 && stats.x1 < s.width && stats.y1 < s.height));
  }
  static_cast<void>(answer.write_mask(data.ConsumeIntegral<std::int64_t>(), data.ConsumeIntegralInRange(-1, 3),
                                      {labels.data(), medsam::LabelType::u8, s.height, s.width, s.width}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  Data data(bytes, size);
  const medsam::Engine& e = engine(data.ConsumeBool());
  const int what = data.ConsumeIntegralInRange(0, 2);
  Scene s = scene(data);
  try {
    if (what == 0) volumes(data, e, s);
    if (what == 1) images(data, e, s);
    if (what == 2) prompts(data, e, s);
  } catch (const medsam::Error& error) {
    expect(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
