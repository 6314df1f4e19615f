// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Parts of masks and previews through C.
#include <algorithm>
#include <vector>

#include "support/c_session_test.hpp"

namespace medsam {
namespace {

constexpr medsam_plane kPlane{0, 0, 3};
constexpr medsam_box kBox{8, 4, 23, 15};
constexpr medsam_plane_point kPoint{20, 12};

medsam_labels plane_labels(std::vector<std::uint16_t>& labels) {
  labels.assign(static_cast<std::size_t>(kSlice), 7);
  return {labels.data(), MEDSAM_LABEL_U16, 0, kHeight, kWidth, kWidth * 2};
}

TEST_F(CSessionTest, APartOfAMaskIsThatPart) {
  const CSession made = session();
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, nullptr));
  const std::vector<std::uint8_t> whole = mask_of(made, "a");
  const medsam_voxel_box box{9, 5, 2, 20, 15, 3};
  std::vector<std::uint8_t> part(2 * 11 * 12, 9);
  const medsam_label_volume out{part.data(), MEDSAM_LABEL_U8, 0, 2, 11, 12, 12, 11 * 12};
  EXPECT_OK(medsam_session_read_mask_box(made.get(), "a", &box, &out, 4));
  std::size_t i = 0;
  for (std::int64_t z = 2; z <= 3; ++z) {
    for (std::int64_t y = 5; y <= 15; ++y) {
      for (std::int64_t x = 9; x <= 20; ++x, ++i) {
        ASSERT_EQ(part[i], whole[static_cast<std::size_t>(z * kSlice + y * kWidth + x)] * 4);
      }
    }
  }
  EXPECT_NE(std::count(part.begin(), part.end(), 4), 0);
  const medsam_voxel_box beyond{9, 5, 5, 20, 15, 6};
  EXPECT_FAILS(medsam_session_read_mask_box(made.get(), "a", &beyond, &out, 1), MEDSAM_INVALID_ARGUMENT,
               "9 5 5 20 15 6");
  EXPECT_FAILS(medsam_session_read_mask_box(made.get(), "a", nullptr, &out, 1), MEDSAM_INVALID_ARGUMENT, "box");
  const medsam_voxel_box smaller{9, 5, 2, 19, 15, 3};
  EXPECT_FAILS(medsam_session_read_mask_box(made.get(), "a", &smaller, &out, 1), MEDSAM_INVALID_ARGUMENT, "12");
}

TEST_F(CSessionTest, APreviewIsWhatTheCallWouldFind) {
  session_options_.encode_ahead = 0;
  const CSession made = session();
  std::vector<std::uint16_t> labels;
  const medsam_labels out = plane_labels(labels);
  int32_t answered = 5;
  EXPECT_OK(medsam_session_preview_click(made.get(), &kPoint, &kPlane, &out, &answered));
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 7), kSlice);
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, nullptr));
  const std::vector<std::uint8_t> mask = mask_of(made, "a");
  EXPECT_OK(medsam_session_preview_box(made.get(), &kBox, &kPlane, &out, &answered));
  EXPECT_EQ(answered, 1);
  EXPECT_TRUE(std::equal(labels.begin(), labels.end(), mask.begin() + 3 * kSlice));
  EXPECT_OK(medsam_session_preview_click(made.get(), &kPoint, &kPlane, &out, &answered));
  EXPECT_EQ(answered, 1);
  EXPECT_OK(medsam_session_add_click(made.get(), "b", &kPoint, 1, &kPlane, nullptr));
  EXPECT_TRUE(std::equal(labels.begin(), labels.end(), mask_of(made, "b").begin() + 3 * kSlice));
  EXPECT_FAILS(medsam_session_preview_click(made.get(), nullptr, &kPlane, &out, &answered), MEDSAM_INVALID_ARGUMENT,
               "point");
  EXPECT_FAILS(medsam_session_preview_box(made.get(), nullptr, &kPlane, &out, &answered), MEDSAM_INVALID_ARGUMENT,
               "box");
  EXPECT_FAILS(medsam_session_preview_box(made.get(), &kBox, &kPlane, nullptr, &answered), MEDSAM_INVALID_ARGUMENT,
               "label");
  EXPECT_FAILS(medsam_session_preview_box(made.get(), &kBox, &kPlane, &out, nullptr), MEDSAM_INVALID_ARGUMENT,
               "answered");
}

}  // namespace
}  // namespace medsam
