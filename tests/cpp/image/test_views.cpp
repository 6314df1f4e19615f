// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/views.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "medsam/error.hpp"

namespace medsam {
namespace {

TEST(CheckImage, RefusesWhatIsNotAnImage) {
  float pixels[12] = {};
  const ImageView good{pixels, PixelType::f32, 2, 2, 3, 24};
  EXPECT_NO_THROW(check_image(good));
  const auto bad = [&](auto&& change) {
    ImageView view = good;
    change(view);
    EXPECT_THROW(check_image(view), InvalidArgument);
  };
  bad([](ImageView& v) { v.data = nullptr; });
  bad([](ImageView& v) { v.height = 0; });
  bad([](ImageView& v) { v.width = -1; });
  bad([](ImageView& v) { v.width = std::int64_t{1} << 40; });
  bad([](ImageView& v) { v.channels = 4; });
  bad([](ImageView& v) { v.row_stride = 20; });
  bad([](ImageView& v) { v.row_stride = 26; });
  bad([](ImageView& v) { v.data = static_cast<const char*>(v.data) + 1; });
}

TEST(CheckLabels, RefusesALabelThatDoesNotFit) {
  std::uint32_t labels[4] = {};
  EXPECT_NO_THROW(check_labels({labels, LabelType::u8, 2, 2, 2}, 2, 2, 255));
  EXPECT_THROW(check_labels({labels, LabelType::u8, 2, 2, 2}, 2, 2, 256), InvalidArgument);
  EXPECT_THROW(check_labels({labels, LabelType::u16, 2, 2, 4}, 2, 2, 65536), InvalidArgument);
  EXPECT_NO_THROW(check_labels({labels, LabelType::u32, 2, 2, 8}, 2, 2, 65536));
  EXPECT_THROW(check_labels({labels, LabelType::u32, 2, 2, 8}, 2, 3, 1), InvalidArgument);
  EXPECT_THROW(check_labels({labels, LabelType::u32, 2, 2, 4}, 2, 2, 1), InvalidArgument);
}

TEST(Views, TypesThatAreNone) {
  std::uint8_t byte = 0;
  EXPECT_THROW(check_image({&byte, static_cast<PixelType>(9), 1, 1, 1, 1}), InvalidArgument);
  EXPECT_THROW(check_labels({&byte, static_cast<LabelType>(9), 1, 1, 1}, 1, 1, 1), InvalidArgument);
}

TEST(CheckedImage, IsMadeOfASoundViewAlone) {
  const std::uint8_t bytes[6] = {};
  const ImageView good{bytes, PixelType::u8, 2, 3, 1, 3};
  EXPECT_EQ(CheckedImage(good)->width, 3);
  ImageView bad = good;
  bad.row_stride = 2;
  EXPECT_THROW(static_cast<void>(CheckedImage(bad)), InvalidArgument);
}

constexpr std::int64_t kSide = std::int64_t{1} << 20, kStride = std::int64_t{1} << 42;  // the largest there may be

TEST(CheckImage, TakesEveryLayoutThatAnImageCanHave) {
  alignas(8) char bytes[64] = {};
  struct Sample {
    PixelType type;
    std::int64_t size;
  };
  for (const auto& [type, size] :
       {Sample{PixelType::u8, 1}, {PixelType::u16, 2}, {PixelType::i16, 2}, {PixelType::f32, 4}}) {
    for (const int channels : {1, 3}) {
      const std::int64_t row = 5 * channels * size;
      for (const std::int64_t stride : {row, row + size, -row}) {
        EXPECT_NO_THROW(check_image({bytes, type, 3, 5, channels, stride})) << size << " " << channels << " " << stride;
      }
      for (const std::int64_t stride : {row - size, size - row, std::int64_t{0}}) {
        EXPECT_THROW(check_image({bytes, type, 3, 5, channels, stride}), InvalidArgument) << "rows overlap: " << stride;
      }
      if (size == 1) continue;
      EXPECT_THROW(check_image({bytes, type, 3, 5, channels, row + 1}), InvalidArgument) << "the second row";
      EXPECT_THROW(check_image({bytes + 1, type, 3, 5, channels, row}), InvalidArgument) << "the first row";
    }
    for (const int channels : {-1, 0, 2, 4}) {
      EXPECT_THROW(check_image({bytes, type, 3, 5, channels, 60}), InvalidArgument) << channels;
    }
  }
  EXPECT_THROW(check_image({bytes, static_cast<PixelType>(9), 3, 5, 1, 60}), InvalidArgument);
}

TEST(CheckImage, BoundsSidesAndStrides) {
  const char pixel = 0;
  EXPECT_NO_THROW(check_image({&pixel, PixelType::u8, 1, 1, 1, 1}));
  EXPECT_NO_THROW(check_image({&pixel, PixelType::u8, kSide, kSide, 1, kSide}));
  EXPECT_THROW(check_image({&pixel, PixelType::u8, kSide + 1, 1, 1, 1}), InvalidArgument);
  EXPECT_THROW(check_image({&pixel, PixelType::u8, 1, kSide + 1, 1, kSide + 1}), InvalidArgument);
  EXPECT_THROW(check_image({&pixel, PixelType::u8, 1, 0, 1, 1}), InvalidArgument);
  for (const std::int64_t sign : {1, -1}) {
    EXPECT_NO_THROW(check_image({&pixel, PixelType::u8, 2, 2, 1, sign * kStride}));
    EXPECT_THROW(check_image({&pixel, PixelType::u8, 2, 2, 1, sign * (kStride + 1)}), InvalidArgument);
  }
}

TEST(CheckLabels, EachTypeHasItsLargestLabelAndItsRows) {
  alignas(8) char bytes[64] = {};
  struct Label {
    LabelType type;
    std::int64_t size;
    std::uint64_t largest;
  };
  for (const auto& [type, size, largest] :
       {Label{LabelType::u8, 1, 0xff}, {LabelType::u16, 2, 0xffff}, {LabelType::u32, 4, 0xffffffff}}) {
    const std::int64_t row = 5 * size;
    EXPECT_NO_THROW(check_labels({bytes, type, 3, 5, row}, 3, 5, largest));
    EXPECT_NO_THROW(check_labels({bytes, type, 3, 5, -row}, 3, 5, largest));
    EXPECT_THROW(check_labels({bytes, type, 3, 5, row}, 3, 5, largest + 1), InvalidArgument);
    EXPECT_THROW(check_labels({bytes, type, 3, 5, row - size}, 3, 5, 1), InvalidArgument);
    EXPECT_THROW(check_labels({bytes, type, 3, 5, row}, 5, 3, 1), InvalidArgument);
    EXPECT_THROW(check_labels({bytes, type, 3, 5, row}, 3, 4, 1), InvalidArgument);
    EXPECT_THROW(check_labels({bytes, type, 3, 5, row}, 2, 5, 1), InvalidArgument);
    EXPECT_THROW(check_labels({nullptr, type, 3, 5, row}, 3, 5, 1), InvalidArgument);
    if (size == 1) continue;
    EXPECT_THROW(check_labels({bytes + 1, type, 3, 5, row}, 3, 5, 1), InvalidArgument);
  }
  EXPECT_THROW(check_labels({bytes, static_cast<LabelType>(9), 3, 5, 60}, 3, 5, 1), InvalidArgument);
}

TEST(SliceOf, IsTheVolumesSliceAtItsStride) {
  char bytes[200] = {};
  const ImageView slice = slice_of(VolumeView{bytes + 100, PixelType::u16, 4, 3, 5, 3, 30, -20}, 2);
  EXPECT_EQ(slice.data, bytes + 60);
  EXPECT_EQ(slice.type, PixelType::u16);
  EXPECT_EQ(slice.height, 3);
  EXPECT_EQ(slice.width, 5);
  EXPECT_EQ(slice.channels, 3);
  EXPECT_EQ(slice.row_stride, 30);
  const LabelView labels = slice_of(LabelVolumeView{bytes, LabelType::u32, 4, 3, 5, 20, 60}, 3);
  EXPECT_EQ(labels.data, bytes + 180);
  EXPECT_EQ(labels.type, LabelType::u32);
  EXPECT_EQ(labels.height, 3);
  EXPECT_EQ(labels.width, 5);
  EXPECT_EQ(labels.row_stride, 20);
}

TEST(CheckVolume, BoundsTheSlicesAndTheWayBetweenThem) {
  alignas(8) char bytes[64] = {};
  const VolumeView good{bytes, PixelType::u16, 4, 3, 5, 1, 10, 30};
  const auto check = [&](std::int64_t depth, std::int64_t row_stride, std::int64_t slice_stride) {
    VolumeView view = good;
    view.depth = depth, view.row_stride = row_stride, view.slice_stride = slice_stride;
    check_volume(view);
  };
  for (const std::int64_t depth : {std::int64_t{1}, kSide}) EXPECT_NO_THROW(check(depth, 10, 30)) << depth;
  for (const std::int64_t depth : {std::int64_t{-1}, std::int64_t{0}, kSide + 1}) {
    EXPECT_THROW(check(depth, 10, 30), InvalidArgument) << depth;
  }
  for (const std::int64_t stride : {20, 32, -20, -30}) EXPECT_NO_THROW(check(4, 10, stride)) << stride;
  EXPECT_NO_THROW(check(4, -10, 20));
  for (const std::int64_t stride : {18, -18, 0, 31}) EXPECT_THROW(check(4, 10, stride), InvalidArgument) << stride;
  EXPECT_THROW(check(4, -10, 18), InvalidArgument);
  EXPECT_THROW(check(4, 8, 30), InvalidArgument) << "a slice is checked as an image";
}

TEST(CheckLabelVolume, IsOfTheVolumesSizeAndBoundsTheWayBetweenSlices) {
  alignas(8) char bytes[64] = {};
  const VolumeView volume{bytes, PixelType::u16, 4, 3, 5, 1, 10, 30};
  const auto check = [&](const LabelVolumeView& view, std::uint64_t largest = 1) {
    check_label_volume(view, volume, largest);
  };
  EXPECT_NO_THROW(check({bytes, LabelType::u32, 4, 3, 5, 20, 60}));
  for (const std::int64_t row : {20, -20}) {
    for (const std::int64_t sign : {1, -1}) {
      EXPECT_NO_THROW(check({bytes, LabelType::u32, 4, 3, 5, row, sign * 60}));
      for (const std::int64_t overlapping : {0, 4, 40, 56}) {
        EXPECT_THROW(check({bytes, LabelType::u32, 4, 3, 5, row, sign * overlapping}), InvalidArgument) << overlapping;
      }
    }
  }
  EXPECT_THROW(check({bytes, LabelType::u32, 4, 3, 5, 20, 62}), InvalidArgument) << "slices that are not aligned";
  EXPECT_THROW(check({bytes, LabelType::u32, 3, 3, 5, 20, 60}), InvalidArgument);
  EXPECT_THROW(check({bytes, LabelType::u32, 5, 3, 5, 20, 60}), InvalidArgument);
  EXPECT_THROW(check({bytes, LabelType::u32, 4, 5, 3, 20, 60}), InvalidArgument);
  EXPECT_NO_THROW(check({bytes, LabelType::u8, 4, 3, 5, 5, 15}, 255));
  EXPECT_THROW(check({bytes, LabelType::u8, 4, 3, 5, 5, 15}, 256), InvalidArgument);
}

// A last row that is the first of the next slice would be written twice.
TEST(CheckLabelVolume, ASliceOfOneRowOverlapsToo) {
  alignas(8) char bytes[64] = {};
  const VolumeView flat{bytes, PixelType::u8, 2, 1, 5, 1, 5, 5};
  EXPECT_NO_THROW(check_label_volume({bytes, LabelType::u8, 2, 1, 5, 5, 5}, flat, 1));
  EXPECT_THROW(check_label_volume({bytes, LabelType::u8, 2, 1, 5, 5, 4}, flat, 1), InvalidArgument);
  EXPECT_THROW(check_label_volume({bytes, LabelType::u8, 2, 1, 5, 5, 0}, flat, 1), InvalidArgument);
  const VolumeView one{bytes, PixelType::u8, 1, 3, 5, 1, 5, 15};
  EXPECT_NO_THROW(check_label_volume({bytes, LabelType::u8, 1, 3, 5, 5, 0}, one, 1)) << "there is no next slice";
}

TEST(ClearLabels, SetsLabelsToZeroAndLeavesWhatLiesBetweenRows) {
  std::vector<std::uint16_t> labels(3 * 7, 9);
  clear_labels({labels.data(), LabelType::u16, 3, 5, 14});
  for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i], i % 7 < 5 ? 0 : 9) << i;
  std::vector<std::uint32_t> flipped(2 * 3, 9);
  clear_labels({flipped.data() + 3, LabelType::u32, 2, 2, -12});
  EXPECT_EQ(flipped, (std::vector<std::uint32_t>{0, 0, 9, 0, 0, 9}));
}

}  // namespace
}  // namespace medsam
