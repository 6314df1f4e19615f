// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Parts of masks, and previews: what a call would find, without the call.
#include <future>

#include "support/session_test.hpp"

namespace medsam {
namespace {

constexpr Box kBox{8, 4, 23, 15};
constexpr PlanePoint kPoint{20, 12};

class SessionReadingTest : public SessionTest {
 protected:
  /// A map of the plane's size that nothing was written to.
  LabelView plane_out(int axis) {
    rows_ = axis == 0 ? kHeight : kDepth;
    columns_ = axis == 2 ? kHeight : kWidth;
    preview_.assign(static_cast<std::size_t>(rows_ * columns_), 7);
    return {preview_.data(), LabelType::u8, rows_, columns_, columns_};
  }
  /// The plane's part of an object's mask.
  std::vector<std::uint8_t> plane_of(const Session& session, const std::string& object, const Plane& plane) {
    const std::vector<std::uint8_t> all = mask_of(session, object);
    std::vector<std::uint8_t> part;
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t column = 0; column < columns_; ++column) {
        const std::int64_t z = plane.axis == 0 ? plane.index : row;
        const std::int64_t y = plane.axis == 0 ? row : plane.axis == 1 ? plane.index : column;
        const std::int64_t x = plane.axis == 2 ? plane.index : column;
        part.push_back(all[static_cast<std::size_t>(z * kSlice + y * kWidth + x)]);
      }
    }
    return part;
  }
  [[nodiscard]] bool untouched() const {
    return std::count(preview_.begin(), preview_.end(), 7) == static_cast<std::ptrdiff_t>(preview_.size());
  }

  std::int64_t rows_ = 0, columns_ = 0;
  std::vector<std::uint8_t> preview_;
};

TEST_F(SessionReadingTest, EveryPartOfAMaskIsThatPart) {
  const auto made = session();
  made->add_box("a", Box3D{8, 4, 1, 23, 15, 6});
  const std::vector<std::uint8_t> whole = mask_of(*made, "a");
  std::mt19937 random(11);
  const auto range = [&](std::int64_t size) -> std::pair<std::int64_t, std::int64_t> {
    const auto any = [&] { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size)); };
    const std::int64_t a = any(), b = any();
    return {std::min(a, b), std::max(a, b)};
  };
  for (int n = 0; n < 200; ++n) {
    const auto z = range(kDepth), y = range(kHeight), x = range(kWidth);
    const std::int64_t depth = z.second - z.first + 1, height = y.second - y.first + 1, width = x.second - x.first + 1;
    std::vector<std::uint16_t> part(static_cast<std::size_t>(depth * height * width), 9);
    made->mask("a", VoxelBox{x.first, y.first, z.first, x.second, y.second, z.second},
               {part.data(), LabelType::u16, depth, height, width, width * 2, height * width * 2}, 300);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t voxel =
          (z.first + at / (height * width)) * kSlice + (y.first + at / width % height) * kWidth + x.first + at % width;
      ASSERT_EQ(part[i], whole[static_cast<std::size_t>(voxel)] * 300);
    }
  }
}

TEST_F(SessionReadingTest, APartBeyondTheVolumeIsRefused) {
  const auto made = session();
  made->add_box("a", kBox, {0, 3});
  std::vector<std::uint8_t> part(8, 9);
  const LabelVolumeView out{part.data(), LabelType::u8, 2, 2, 2, 2, 4};
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const VoxelBox& box :
       {VoxelBox{-1, 0, 0, 0, 1, 1}, VoxelBox{39, 0, 0, 40, 1, 1}, VoxelBox{0, 23, 0, 1, 24, 1},
        VoxelBox{0, 0, 7, 1, 1, 8}, VoxelBox{}, VoxelBox{1, 0, 0, 0, 1, 1}, VoxelBox{-kMost - 1, 0, 0, kMost, 1, 1}}) {
    EXPECT_THROW(made->mask("a", box, out), InvalidArgument);
  }
  EXPECT_THROW(made->mask("a", VoxelBox{0, 0, 0, 2, 1, 1}, out), InvalidArgument);  // of another size
  EXPECT_EQ(std::count(part.begin(), part.end(), 9), 8);
}

TEST_F(SessionReadingTest, APreviewIsWhatTheCallFinds) {
  for (const Plane plane : {Plane{0, 3}, Plane{1, 7}, Plane{2, 11}}) {
    const auto made = session();
    const Box box{3, 2, 17, plane.axis == 0 ? 15.0 : 6.0};
    const PlanePoint point{9, 4};
    made->add_box("other", box, plane);  // encodes the plane
    const std::int64_t steps = made->undo_steps();
    const Shown before = shown(*made);
    LabelView out = plane_out(plane.axis);
    ASSERT_TRUE(made->preview_box(box, plane, out));
    EXPECT_EQ(preview_, plane_of(*made, "other", plane));
    out = plane_out(plane.axis);
    ASSERT_TRUE(made->preview_click(point, plane, out));
    EXPECT_EQ(shown(*made), before);
    EXPECT_EQ(made->undo_steps(), steps);
    made->add_click("new", point, true, plane);
    EXPECT_EQ(preview_, plane_of(*made, "new", plane));
  }
}

TEST_F(SessionReadingTest, AClickAfterAPreviewIsTheClickWithoutOne) {
  const PlanePoint beside{kPoint.x + 1, kPoint.y}, below{kPoint.x, kPoint.y + 1};
  const auto answer = [&](bool previewed, const PlanePoint& point, const Plane& plane) {
    const auto made = session();
    for (const Plane& encoded : {Plane{0, 3}, Plane{0, 4}, Plane{1, 3}})
      made->add_box("other", Box{2, 2, 6, 6}, encoded);
    const bool shown = previewed && made->preview_click(kPoint, {0, 3}, plane_out(0));
    EXPECT_EQ(shown, previewed);
    made->add_click("new", point, true, plane);
    return mask_of(*made, "new");
  };
  for (const auto& [point, plane] : {std::pair(kPoint, Plane{0, 3}), std::pair(beside, Plane{0, 3}),
                                     std::pair(below, Plane{0, 3}), std::pair(kPoint, Plane{0, 4})}) {
    EXPECT_EQ(answer(true, point, plane), answer(false, point, plane));
  }
  const PlanePoint across{20, 3};
  EXPECT_EQ(answer(true, across, {1, 3}), answer(false, across, {1, 3}));
  EXPECT_NE(answer(false, kPoint, {0, 3}), answer(false, beside, {0, 3}));  // or the rest shows nothing
  EXPECT_NE(answer(false, kPoint, {0, 3}), answer(false, below, {0, 3}));
  EXPECT_NE(answer(false, kPoint, {0, 3}), answer(false, kPoint, {0, 4}));
}

TEST_F(SessionReadingTest, ThereIsNoPreviewOfAPlaneThatIsNotEncoded) {
  const auto made = session();
  made->add_box("a", kBox, {0, 3});
  const LabelView out = plane_out(0);
  EXPECT_FALSE(made->preview_click(kPoint, {0, 4}, out));
  EXPECT_FALSE(made->preview_box(kBox, {0, 4}, out));
  EXPECT_TRUE(untouched());
}

TEST_F(SessionReadingTest, ThereIsNoPreviewWhileAnotherCallRuns) {
  const auto made = session();
  made->add_box("a", kBox, {0, 3});
  const LabelView out = plane_out(0);
  PropagateOptions options;
  int asked = 0;
  options.cancelled = [&] {
    ++asked;
    EXPECT_FALSE(std::async(std::launch::async, [&] { return made->preview_box(kBox, {0, 3}, out); }).get());
    EXPECT_THROW(static_cast<void>(made->preview_box(kBox, {0, 3}, out)), Unsupported);  // of its own call
    return false;
  };
  made->propagate("a", options);
  EXPECT_GT(asked, 0);
  EXPECT_TRUE(untouched());
  EXPECT_TRUE(made->preview_box(kBox, {0, 3}, out));
}

TEST_F(SessionReadingTest, PreviewsRefuseWhatTheCallsRefuse) {
  const auto made = session();
  const LabelView out = plane_out(0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(static_cast<void>(made->preview_click({nan, 3}, {0, 3}, out)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(made->preview_click({40, 3}, {0, 3}, out)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(made->preview_click(kPoint, {0, 8}, out)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(made->preview_click(kPoint, {3, 0}, out)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(made->preview_box({5, 5, 4, 9}, {0, 3}, out)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(made->preview_box(kBox, {0, -1}, out)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(made->preview_box(kBox, {0, 3}, plane_out(1))), InvalidArgument);
  EXPECT_TRUE(untouched());
}

}  // namespace
}  // namespace medsam
