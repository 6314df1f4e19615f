// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fixture of the session's tests: the tiny bundle and a small volume, and all that a session shows as a value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "medsam/session.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"

namespace medsam {

/// What a session shows: its objects and their masks, u8 (D, H, W).
struct Shown {
  std::vector<SessionObject> objects;
  std::map<std::string, std::vector<std::uint8_t>> masks;
};

inline bool operator==(const VoxelBox& a, const VoxelBox& b) {
  return a.x0 == b.x0 && a.y0 == b.y0 && a.z0 == b.z0 && a.x1 == b.x1 && a.y1 == b.y1 && a.z1 == b.z1;
}
inline void PrintTo(const VoxelBox& b, std::ostream* out) {
  *out << "(" << b.x0 << ", " << b.y0 << ", " << b.z0 << ", " << b.x1 << ", " << b.y1 << ", " << b.z1 << ")";
}
inline bool operator==(const SessionObject& a, const SessionObject& b) {
  return a.name == b.name && a.locked == b.locked && a.voxels == b.voxels && a.box == b.box && a.prompts == b.prompts;
}
inline bool operator==(const Shown& a, const Shown& b) { return a.objects == b.objects && a.masks == b.masks; }

/// The slices of a mask (D, H, W), of `slice` voxels each, in which it has voxels.
inline std::set<std::int64_t> slices_of(const std::vector<std::uint8_t>& mask, std::int64_t slice) {
  std::set<std::int64_t> slices;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0) slices.insert(static_cast<std::int64_t>(i) / slice);
  }
  return slices;
}

class SessionTest : public EngineTest {
 protected:
  static constexpr std::int64_t kDepth = 8, kHeight = 24, kWidth = 40, kSlice = kHeight * kWidth;

  void SetUp() override {
    EngineTest::SetUp();
    voxels_.resize(static_cast<std::size_t>(kDepth * kSlice));
    std::mt19937 random(5);
    for (auto& v : voxels_) v = static_cast<std::uint8_t>(random());
    session_options_.spacing_z = 2.5;
    session_options_.encode_ahead = false;
  }
  void TearDown() override { testing::fake_backend().fail_after = -1; }

  [[nodiscard]] VolumeView volume() const {
    return {voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kSlice};
  }
  std::shared_ptr<const Engine> engine() {
    if (!engine_) engine_ = std::make_shared<const Engine>(bundle_, options_);
    return engine_;
  }
  std::unique_ptr<Session> session() { return std::make_unique<Session>(engine(), volume(), session_options_); }

  /// The engine of a bundle with these fields of the profile's mask rules, or another list of trained prompts.
  void use_bundle(const std::function<void(nlohmann::json&)>& change) {
    auto manifest = testing::tiny_manifest();
    change(manifest);
    bundle_ = testing::write_tiny_bundle(folder_.path("bundle" + std::to_string(++bundles_)), manifest);
    engine_.reset();
  }
  /// As the published weights of this field: boxes alone.
  void know_boxes_only() {
    use_bundle([](nlohmann::json& manifest) { manifest["trained_prompts"] = {{"box"}}; });
  }

  template <class T>
  static LabelVolumeView out(std::vector<T>& labels) {
    constexpr LabelType kType = sizeof(T) == 1 ? LabelType::u8 : (sizeof(T) == 2 ? LabelType::u16 : LabelType::u32);
    return {labels.data(),
            kType,
            kDepth,
            kHeight,
            kWidth,
            kWidth * std::int64_t{sizeof(T)},
            kSlice * std::int64_t{sizeof(T)}};
  }
  static std::vector<std::uint8_t> mask_of(const Session& session, const std::string& object) {
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(kDepth * kSlice), 9);
    session.mask(object, out(mask));
    return mask;
  }
  static std::vector<std::uint16_t> labels_of(const Session& session) {
    std::vector<std::uint16_t> labels(static_cast<std::size_t>(kDepth * kSlice), 999);
    session.labels(out(labels));
    return labels;
  }
  static Shown shown(const Session& session) {
    Shown all{session.objects(), {}};
    for (const SessionObject& object : all.objects) all.masks[object.name] = mask_of(session, object.name);
    return all;
  }
  /// The bounding box of all voxels whose bit differs in the mask of some object.
  static VoxelBox difference(const Shown& a, const Shown& b) {
    static const std::vector<std::uint8_t> nothing(static_cast<std::size_t>(kDepth * kSlice));
    std::map<std::string, std::pair<const std::vector<std::uint8_t>*, const std::vector<std::uint8_t>*>> pairs;
    for (const auto& [name, mask] : a.masks) pairs[name] = {&mask, &nothing};
    for (const auto& [name, mask] : b.masks) {
      pairs.try_emplace(name, &nothing, &nothing);
      pairs[name].second = &mask;
    }
    VoxelBox box{kWidth, kHeight, kDepth, -1, -1, -1};
    for (const auto& [name, pair] : pairs) {
      for (std::size_t i = 0; i < nothing.size(); ++i) {
        if ((*pair.first)[i] == (*pair.second)[i]) continue;
        const auto at = static_cast<std::int64_t>(i);
        const std::int64_t z = at / kSlice, y = at % kSlice / kWidth, x = at % kWidth;
        box = {std::min(box.x0, x), std::min(box.y0, y), std::min(box.z0, z),
               std::max(box.x1, x), std::max(box.y1, y), std::max(box.z1, z)};
      }
    }
    return box.empty() ? VoxelBox{} : box;
  }

  std::vector<std::uint8_t> voxels_;
  SessionOptions session_options_;
  std::shared_ptr<const Engine> engine_;
  int bundles_ = 0;
};

}  // namespace medsam
