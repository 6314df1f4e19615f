// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which logits a mask is made of: a tensor that holds no others gives the same mask (AddressSanitizer looks on), and
// one that holds fewer is refused.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "medsam/error.hpp"
#include "model/prediction.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

struct Drawn {
  std::vector<std::uint8_t> labels;
  MaskStats stats;
  bool operator==(const Drawn& other) const {
    return labels == other.labels && stats.area == other.stats.area && stats.x0 == other.stats.x0 &&
           stats.y0 == other.stats.y0 && stats.x1 == other.stats.x1 && stats.y1 == other.stats.y1;
  }
};

constexpr MaskUpsample kUpsamples[] = {MaskUpsample::logits, MaskUpsample::probabilities,
                                       MaskUpsample::logits_at_input_size, MaskUpsample::logits_at_prompt_frame};

class LookedAt : public ::testing::Test {
 protected:
  /// Two maps of (low, low) logits, the image's.
  void set(std::int64_t height, std::int64_t width, Fit fit, MaskUpsample upsample, std::int64_t low = 24) {
    low_ = low;
    geometry_ = image_geometry(height, width, 96, 64, fit);
    rules_.upsample = upsample;
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    auto whole = std::make_shared<backends::HostTensor>(backends::Shape{2, 1, low, low});
    for (std::int64_t i = 0; i < 2 * low * low; ++i) whole->mutable_host()[i] = normal(random);
    whole_ = whole;
  }
  [[nodiscard]] backends::MapPart part() const { return looked_at(geometry_, rules_, low_, low_); }
  /// The top left of both maps, dense.
  [[nodiscard]] backends::TensorPtr cut(std::int64_t height, std::int64_t width) const {
    auto cut = std::make_shared<backends::HostTensor>(backends::Shape{2, 1, height, width});
    float* to = cut->mutable_host();
    for (std::int64_t y = 0; y < 2 * low_; ++y) {
      if (y % low_ < height) to = std::copy_n(whole_->host() + y * low_, width, to);
    }
    return cut;
  }
  [[nodiscard]] Drawn draw(const backends::TensorPtr& logits, std::int64_t index = 1) const {
    Drawn drawn;
    drawn.labels.resize(static_cast<std::size_t>(geometry_.height * geometry_.width));
    drawn.stats =
        write_label({logits, index, low_, low_}, geometry_, rules_,
                    {drawn.labels.data(), LabelType::u8, geometry_.height, geometry_.width, geometry_.width}, 7);
    return drawn;
  }
  [[nodiscard]] std::string what() const {
    return std::to_string(geometry_.width) + " x " + std::to_string(geometry_.height) + ", low " +
           std::to_string(low_) + ", upsample " + std::to_string(static_cast<int>(rules_.upsample));
  }

  std::int64_t low_ = 0;
  ImageGeometry geometry_;
  MaskRules rules_;
  backends::TensorPtr whole_;
};

TEST_F(LookedAt, IsAllThatAMaskIsMadeOf) {
  int smaller = 0;
  for (const MaskUpsample upsample : kUpsamples) {
    for (const Fit fit : {Fit::longest_side, Fit::stretch}) {
      for (const std::int64_t low : {1, 2, 24, 96, 130}) {
        for (const std::int64_t height : {1, 2, 5, 47, 48, 95, 96, 97, 200}) {
          for (const std::int64_t width : {1, 3, 48, 96, 101}) {
            set(height, width, fit, upsample, low);
            const auto [rows, columns] = part();
            ASSERT_TRUE(rows >= 1 && rows <= low && columns >= 1 && columns <= low) << what();
            smaller += rows < low || columns < low ? 1 : 0;
            const Drawn expected = draw(whole_);
            ASSERT_TRUE(draw(cut(rows, columns)) == expected) << what();
            ASSERT_TRUE(draw(cut((rows + low) / 2, (columns + low) / 2)) == expected) << what() << ", more than that";
          }
        }
      }
    }
  }
  EXPECT_GT(smaller, 500) << "or this test shows nothing";
}

// The other way round: each row and column of it counts, so that it is no larger than need be.
TEST_F(LookedAt, IsNoMoreThanThat) {
  for (const MaskUpsample upsample : kUpsamples) {
    set(48, 96, Fit::longest_side, upsample);
    const backends::MapPart expected =
        rules_.upsample == MaskUpsample::logits || rules_.upsample == MaskUpsample::probabilities
            ? backends::MapPart{12, 24}
            : backends::MapPart{13, 24};
    EXPECT_EQ(part().height, expected.height) << what();
    EXPECT_EQ(part().width, expected.width) << what();
    set(96, 50, Fit::stretch, upsample);
    EXPECT_EQ(part().height * part().width, 24 * 24) << what();
  }
}

TEST_F(LookedAt, LessThanThatIsRefused) {
  for (const MaskUpsample upsample : kUpsamples) {
    for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{48, 96}, {96, 48}}) {
      set(height, width, Fit::longest_side, upsample);
      const auto [rows, columns] = part();
      for (const backends::TensorPtr& short_one : {cut(rows - 1, low_), cut(low_, columns - 1)}) {
        const std::string text = testing::raised<BackendError>([&] { static_cast<void>(draw(short_one)); });
        EXPECT_NE(text.find("but the mask is made of " + std::to_string(rows) + " x " + std::to_string(columns)),
                  std::string::npos)
            << text;
      }
      for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{2}, std::int64_t{1} << 60}) {
        EXPECT_THROW(static_cast<void>(draw(cut(rows, columns), index)), BackendError) << index;
      }
    }
  }
}

}  // namespace
}  // namespace medsam
