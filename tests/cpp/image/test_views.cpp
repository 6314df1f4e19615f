// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/views.hpp"

#include <gtest/gtest.h>

#include <cstdint>

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

}  // namespace
}  // namespace medsam
