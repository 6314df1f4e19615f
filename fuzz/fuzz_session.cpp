// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Random calls of a session: each answers or raises medsam::Error, says exactly what it changed, and leaves everything
// as it was where it raises. Oracle: a second session that gets only the calls that count, not what was undone, with
// no memory for embeddings or a thread that encodes ahead, has the same masks.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "finding.hpp"
#include "medsam/session.hpp"
#include "support/session_calls.hpp"
#include "support/tiny_bundle.hpp"

namespace {

using medsam::Session;
using medsam::VoxelBox;
using medsam::fuzz::expect;

constexpr std::int64_t kShape[3] = {4, 9, 13};
constexpr std::int64_t kSlice = kShape[1] * kShape[2], kVoxels = kShape[0] * kSlice;
constexpr int kMostCalls = 24;

using Masks = std::map<std::string, std::vector<std::uint8_t>>;

std::shared_ptr<const medsam::Engine> engine(bool boxes_only) {
  static const medsam::testing::TemporaryFolder temporary;
  const auto make = [](const std::string& name, bool boxes) {
    medsam::EngineOptions options;
    options.cache_dir = "none";
    options.cache_bytes = 1 << 16;
    options.profile = "";
    auto manifest = medsam::testing::tiny_manifest();
    if (boxes) manifest["trained_prompts"] = {{"box"}};
    return std::make_shared<const medsam::Engine>(medsam::testing::write_tiny_bundle(temporary.path(name), manifest),
                                                  options);
  };
  static const auto all = make("all", false), boxes = make("boxes", true);
  return boxes_only ? boxes : all;
}

Masks masks_of(const Session& session) {
  Masks masks;
  for (const medsam::SessionObject& object : session.objects()) {
    std::vector<std::uint8_t>& mask = masks[object.name];
    mask.assign(kVoxels, 9);
    session.mask(object.name, {mask.data(), medsam::LabelType::u8, kShape[0], kShape[1], kShape[2], kShape[2], kSlice});
    expect(object.voxels == std::count(mask.begin(), mask.end(), 1));
    expect(std::count(mask.begin(), mask.end(), 9) == 0);
  }
  return masks;
}

void grow(VoxelBox& box, const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  for (std::int64_t i = 0; i < kVoxels; ++i) {
    if (a[static_cast<std::size_t>(i)] == b[static_cast<std::size_t>(i)]) continue;
    const std::int64_t z = i / kSlice, y = i % kSlice / kShape[2], x = i % kShape[2];
    if (box.empty()) box = {x, y, z, x, y, z};
    box = {std::min(box.x0, x), std::min(box.y0, y), std::min(box.z0, z),
           std::max(box.x1, x), std::max(box.y1, y), std::max(box.z1, z)};
  }
}

VoxelBox difference(const Masks& a, const Masks& b) {
  static const std::vector<std::uint8_t> nothing(kVoxels);
  VoxelBox box;
  for (const auto& [name, mask] : a) grow(box, mask, b.count(name) != 0 ? b.at(name) : nothing);
  for (const auto& [name, mask] : b) {
    if (a.count(name) == 0) grow(box, mask, nothing);
  }
  return box;
}

bool equal(const VoxelBox& a, const VoxelBox& b) {
  return a.x0 == b.x0 && a.y0 == b.y0 && a.z0 == b.z0 && a.x1 == b.x1 && a.y1 == b.y1 && a.z1 == b.z1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  std::vector<std::uint8_t> pixels(kVoxels);
  const auto first = input.ConsumeIntegral<std::uint8_t>();
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(first * (i % 7) + i);
  const medsam::VolumeView volume{pixels.data(), medsam::PixelType::u8, kShape[0], kShape[1], kShape[2], 1, kShape[2],
                                  kSlice};
  medsam::SessionOptions options;
  options.encode_ahead = false;
  constexpr double kSpacings[] = {1, 2.5, 0.3};
  options.spacing_z = kSpacings[input.ConsumeIntegralInRange(0, 2)];
  const auto with = engine(input.ConsumeBool());
  medsam::SessionOptions other = options;
  other.embedding_bytes = 0;
  other.encode_ahead = input.ConsumeBool();

  Session session(with, volume, options);
  medsam::testing::SessionPlayer player(session, kShape);
  Masks before;
  for (int i = 0; i < kMostCalls && input.remaining_bytes() > 0; ++i) {
    const auto call = medsam::testing::random_call(
        kShape, [&](std::uint32_t n) { return input.ConsumeIntegralInRange<std::uint32_t>(0, n - 1); });
    const std::optional<VoxelBox> changed = player.play(call);
    Masks after = masks_of(session);
    expect(changed ? equal(*changed, difference(before, after)) : after == before);
    before = std::move(after);
  }
  Session again(with, volume, other);
  for (const auto& call : player.effective()) medsam::testing::make_call(again, kShape, call);
  expect(masks_of(again) == before);
  return 0;
}
