// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fixture of the tests of sessions through C: the tiny bundle and a small volume.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <tuple>
#include <vector>

#include "medsam/session.hpp"
#include "support/c_api_test.hpp"

namespace medsam {

using CSession = std::unique_ptr<medsam_session, Destroy<medsam_session_destroy>>;

constexpr std::int64_t kDepth = 6, kHeight = 24, kWidth = 40, kSlice = kHeight * kWidth;

class CSessionTest : public CApiTest {
 protected:
  void SetUp() override {
    CApiTest::SetUp();
    voxels_.resize(static_cast<std::size_t>(kDepth * kSlice));
    std::mt19937 random(5);
    for (auto& v : voxels_) v = static_cast<std::uint8_t>(random());
    engine_ = engine();
    session_options_ = initialized(medsam_session_options_init);
    session_options_.spacing_z = 2.5;
  }
  [[nodiscard]] medsam_volume volume() const {
    return {voxels_.data(), MEDSAM_PIXEL_U8, 1, kDepth, kHeight, kWidth, kWidth, kSlice};
  }
  CSession session() {
    const medsam_volume pixels = volume();
    medsam_session* made = nullptr;
    EXPECT_OK(medsam_session_create(engine_.get(), &pixels, &session_options_, &made));
    return CSession(made);
  }
  static medsam_label_volume c_out(std::vector<std::uint8_t>& labels) {
    labels.resize(static_cast<std::size_t>(kDepth * kSlice));
    return {labels.data(), MEDSAM_LABEL_U8, 0, kDepth, kHeight, kWidth, kWidth, kSlice};
  }
  static std::vector<std::uint8_t> mask_of(const CSession& session, const char* object) {
    std::vector<std::uint8_t> mask;
    const medsam_label_volume out = c_out(mask);
    EXPECT_OK(medsam_session_read_mask(session.get(), object, &out, 1));
    return mask;
  }
  static std::vector<std::uint8_t> labels_of(const CSession& session) {
    std::vector<std::uint8_t> labels;
    const medsam_label_volume out = c_out(labels);
    EXPECT_OK(medsam_session_read_labels(session.get(), &out));
    return labels;
  }

  std::vector<std::uint8_t> voxels_;
  CEngine engine_;
  medsam_session_options session_options_{};
};

inline void expect_box(const medsam_voxel_box& got, const VoxelBox& wanted) {
  EXPECT_EQ(std::make_tuple(got.x0, got.y0, got.z0, got.x1, got.y1, got.z1),
            std::make_tuple(wanted.x0, wanted.y0, wanted.z0, wanted.x1, wanted.y1, wanted.z1));
}

}  // namespace medsam
