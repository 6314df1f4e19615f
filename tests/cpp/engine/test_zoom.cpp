// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Small boxes of an image are answered from a window of it, too (docs/profiles.md, "zoom").
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "image/zoom_windows.hpp"
#include "medsam/error.hpp"
#include "medsam/session.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"

namespace medsam {
namespace {

using testing::fake_backend;

constexpr std::int64_t kHeight = 48, kWidth = 64;
constexpr Box kSmall{20, 14, 27, 21}, kLarge{4, 3, 60, 44};

class ZoomTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    options_.profile = "clinical";
  }
  void TearDown() override { fake_backend().fail_after = -1; }

  std::vector<std::uint16_t> segmented(const Engine& engine, const ImageView& image, const std::vector<Box>& boxes) {
    std::vector<std::uint16_t> labels;
    engine.segment(image, boxes, view(labels));
    return labels;
  }
  std::vector<std::uint16_t> segmented(const Engine& engine, const ImageEmbedding& image,
                                       const std::vector<Box>& boxes) {
    std::vector<std::uint16_t> labels;
    engine.segment(image, boxes, view(labels));
    return labels;
  }
  static int runs_of(const std::function<void()>& call) {
    const int before = fake_backend().runs;
    call();
    return fake_backend().runs - before;
  }
};

/// The first mask's logits at pixel (x, y) of the image that they show; linear between those of the model.
double logit_at(const Prediction& answer, std::int64_t x, std::int64_t y) {
  const double longest = static_cast<double>(std::max(answer.height(), answer.width()));
  const auto shown = [&](std::int64_t side, std::int64_t low) {
    const auto fitted = static_cast<std::int64_t>(static_cast<double>(side) * testing::kInputSize / longest + 0.5);
    return std::clamp<std::int64_t>(
        (std::max<std::int64_t>(1, fitted) * low + testing::kInputSize / 2) / testing::kInputSize, 1, low);
  };
  const auto place = [](std::int64_t v, std::int64_t side, std::int64_t low) {
    const double at = (static_cast<double>(v) + 0.5) * static_cast<double>(low) / static_cast<double>(side) - 0.5;
    return std::clamp(at, 0.0, static_cast<double>(low - 1));
  };
  const std::int64_t rows = shown(answer.height(), answer.low_res_height());
  const std::int64_t columns = shown(answer.width(), answer.low_res_width());
  const double v = place(y, answer.height(), rows), u = place(x, answer.width(), columns);
  const auto y0 = static_cast<std::int64_t>(v), x0 = static_cast<std::int64_t>(u);
  const auto logit = [&](std::int64_t row, std::int64_t column) {
    return static_cast<double>(
        answer.low_res_logits()[std::min(row, rows - 1) * answer.low_res_width() + std::min(column, columns - 1)]);
  };
  const double b = v - static_cast<double>(y0), a = u - static_cast<double>(x0);
  return (1 - b) * ((1 - a) * logit(y0, x0) + a * logit(y0, x0 + 1)) +
         b * ((1 - a) * logit(y0 + 1, x0) + a * logit(y0 + 1, x0 + 1));
}

TEST_F(ZoomTest, ASmallBoxIsTheMeanOfTheImagesAndTheWindowsLogits) {
  const Engine engine(bundle_, options_);
  const auto window = zoom_windows(*builtin_profile("clinical").zoom, kHeight, kWidth, {kSmall}).at(0).part;
  ImageView part = image();
  part.data = pixels_.data() + window.y0 * kWidth + window.x0;
  part.height = window.y1 - window.y0;
  part.width = window.x1 - window.x0;
  const auto x = static_cast<double>(window.x0), y = static_cast<double>(window.y0);
  Prompt far, near;
  far.box = kSmall;
  near.box = Box{kSmall.x0 - x, kSmall.y0 - y, kSmall.x1 - x, kSmall.y1 - y};
  const Prediction whole = engine.predict(engine.encode(image()), {far});
  const Prediction zoomed = engine.predict(engine.encode(part), {near});
  std::vector<std::uint16_t> labels;
  const MaskStats stats = engine.segment(image(), {kSmall}, view(labels)).at(0);
  EXPECT_FLOAT_EQ(stats.iou, (whole.iou_predictions()[0] + zoomed.iou_predictions()[0]) / 2);
  std::int64_t area = 0, unlike_whole = 0;
  for (std::int64_t py = 0; py < kHeight; ++py) {
    for (std::int64_t px = 0; px < kWidth; ++px) {
      const double alone = logit_at(whole, px, py);
      double sum = alone;
      if (px >= window.x0 && px < window.x1 && py >= window.y0 && py < window.y1) {
        sum = std::clamp(alone, -8.0, 8.0) + std::clamp(logit_at(zoomed, px - window.x0, py - window.y0), -8.0, 8.0);
      }
      const bool set = labels[static_cast<std::size_t>(py * kWidth + px)] == 1;
      area += set ? 1 : 0;
      if (std::abs(sum) > 1e-3) {
        EXPECT_EQ(set, sum > 0) << px << ", " << py;
      }
      unlike_whole += set != (alone > 0) ? 1 : 0;
    }
  }
  EXPECT_EQ(area, stats.area);
  EXPECT_GT(area, 0);
  EXPECT_GT(unlike_whole, 0) << "the window changes nothing: the test shows nothing";
}

TEST_F(ZoomTest, PublishedProfilesAndLargeBoxesEncodeNoWindow) {
  options_.cache_bytes = 0;
  for (const char* profile : {"", "litemedsam", "medsam"}) {
    options_.profile = profile;
    const Engine engine(bundle_, options_);
    EXPECT_EQ(runs_of([&] { segmented(engine, image(), {kSmall}); }), 2) << profile;
  }
  options_.profile = "clinical";
  const Engine engine(bundle_, options_);
  EXPECT_EQ(runs_of([&] { segmented(engine, image(), {kLarge}); }), 2);
  EXPECT_EQ(runs_of([&] { segmented(engine, image(), {kSmall}); }), 4);
}

TEST_F(ZoomTest, AnEmbeddingGivesWhatItsImageGivesAndKeepsWhatItNeeds) {
  const Engine engine(bundle_, options_);
  std::mt19937 random(2);
  const std::vector<Box> boxes{kSmall, kLarge, {50, 40, 53, 46}};
  for (const PixelType type : {PixelType::u8, PixelType::u16, PixelType::i16, PixelType::f32}) {
    for (const int channels : {1, 3}) {
      const std::int64_t bytes = type == PixelType::u8 ? 1 : (type == PixelType::f32 ? 4 : 2);
      const std::int64_t stride = kWidth * channels * bytes + 12;  // rows lie apart
      std::vector<std::uint32_t> memory(static_cast<std::size_t>(kHeight * stride / 4));
      auto* at = reinterpret_cast<std::uint8_t*>(memory.data());
      for (std::int64_t i = 0; i < kHeight * stride / bytes; ++i) {
        if (type == PixelType::f32) {
          reinterpret_cast<float*>(at)[i] = static_cast<float>(random() % 4000) - 1000;
        } else if (bytes == 2) {
          reinterpret_cast<std::uint16_t*>(at)[i] = static_cast<std::uint16_t>(random() % 4000);
        } else {
          at[i] = static_cast<std::uint8_t>(random());
        }
      }
      const ImageView given{at, type, kHeight, kWidth, channels, stride};
      const auto expected = segmented(engine, given, boxes);
      ImageEmbedding embedding = engine.encode(given);
      std::fill(memory.begin(), memory.end(), 0u);  // the caller's pixels are not needed any more
      EXPECT_EQ(segmented(engine, embedding, boxes), expected);
      const std::string saved = embedding.serialize();
      const ImageEmbedding loaded = ImageEmbedding::deserialize(saved.data(), saved.size());
      EXPECT_EQ(loaded.bytes(), embedding.bytes());
      EXPECT_EQ(segmented(engine, loaded, boxes), expected);
      for (std::size_t size = 0; size < saved.size(); size += 97) {
        EXPECT_THROW(ImageEmbedding::deserialize(saved.data(), size), ModelError);
      }
    }
  }
}

TEST_F(ZoomTest, AnEmbeddingWithoutPixelsIsRefusedForASmallBoxAlone) {
  options_.profile = "litemedsam";
  const ImageEmbedding bare = Engine(bundle_, options_).encode(image());
  options_.profile = "clinical";
  const Engine engine(bundle_, options_);
  EXPECT_EQ(segmented(engine, bare, {kLarge}), segmented(engine, image(), {kLarge}));
  try {
    segmented(engine, bare, {kLarge, kSmall});
    FAIL();
  } catch (const ModelError& e) {
    EXPECT_NE(std::string(e.what()).find("boxes[1]"), std::string::npos) << e.what();
  }
}

TEST_F(ZoomTest, AWindowIsEncodedOnceAndNeverTakenForAnothers) {
  const Engine engine(bundle_, options_);
  const auto first = segmented(engine, image(), {kSmall});
  EXPECT_EQ(engine.cache_stats().misses, 2u);
  EXPECT_EQ(segmented(engine, image(), {kSmall}), first);
  EXPECT_EQ(engine.cache_stats().misses, 2u);
  EXPECT_EQ(engine.cache_stats().hits, 2u);
  const int again = runs_of([&] { segmented(engine, image(), {kSmall}); });
  EXPECT_EQ(again, 2);  // decodes alone
  const ImageView same = image();
  pixels_[static_cast<std::size_t>(18 * kWidth + 23)] ^= 0x80;  // in the window
  static_cast<void>(segmented(engine, same, {kSmall}));
  EXPECT_EQ(engine.cache_stats().misses, 4u);
  static_cast<void>(segmented(engine, same, {{50, 4, 57, 11}}));  // a window of one size elsewhere
  EXPECT_EQ(engine.cache_stats().misses, 5u);
}

TEST_F(ZoomTest, MasksDependNeitherOnTheOrderOfBoxesNorOnThreads) {
  std::mt19937 random(9);
  std::vector<Box> boxes;
  for (int i = 0; i < 90; ++i) {
    const double x = static_cast<double>(random() % 56), y = static_cast<double>(random() % 40);
    boxes.push_back({x, y, x + 1 + static_cast<double>(i % 7), y + 2 + static_cast<double>(i % 5)});
  }
  boxes.push_back(kLarge);
  std::vector<std::size_t> order(boxes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);
  std::vector<Box> shuffled;
  for (const std::size_t i : order) shuffled.push_back(boxes[i]);
  const Engine engine(bundle_, options_);
  options_.threads = 2;
  options_.cache_bytes = 0;
  const Engine other(bundle_, options_);
  std::vector<std::uint16_t> a, b, c;
  const auto stats = engine.segment(image(), boxes, view(a));
  const auto stats_shuffled = other.segment(image(), shuffled, view(b));
  other.segment(image(), boxes, view(c));
  EXPECT_EQ(a, c);
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(stats_shuffled[i].area, stats[order[i]].area);
    EXPECT_EQ(stats_shuffled[i].x0, stats[order[i]].x0);
    EXPECT_EQ(stats_shuffled[i].y1, stats[order[i]].y1);
  }
  // Where masks overlap, the smaller box has the pixel, whichever was painted first.
  const auto area = [&](std::uint16_t label) {
    const Box& box = boxes[label - 1u];
    return (box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1);
  };
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i] == 0, b[i] == 0);
    if (a[i] == 0) continue;
    ASSERT_EQ(area(a[i]), area(static_cast<std::uint16_t>(order[b[i] - 1u] + 1)));
  }
}

TEST_F(ZoomTest, ErrorsOfAWindowReachTheCaller) {
  options_.cache_bytes = 0;
  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> labels;
  for (int run = 0; run < 4; ++run) {
    fake_backend().fail_after = run;
    EXPECT_THROW(engine.segment(image(), {kSmall}, view(labels)), BackendError) << run;
  }
  fake_backend().fail_after = -1;
  int calls = 0;
  SegmentOptions options;
  options.cancelled = [&] { return ++calls > 1; };
  EXPECT_THROW(engine.segment(image(), {kSmall}, view(labels), options), Cancelled);
}

TEST_F(ZoomTest, TheSmallestImagesHaveMasks) {
  const Engine engine(bundle_, options_);
  for (std::int64_t height = 1; height <= 9; ++height) {
    for (std::int64_t width = 1; width <= 9; ++width) {
      static_cast<void>(image());
      const ImageView tiny{pixels_.data(), PixelType::u8, height, width, 1, width};
      std::vector<std::uint8_t> labels(static_cast<std::size_t>(height * width + 1), 9);
      const LabelView out{labels.data(), LabelType::u8, height, width, width};
      const Box pixel{static_cast<double>(width - 1), 0, static_cast<double>(width), 0};
      EXPECT_NO_THROW(engine.segment(tiny, {pixel, {0, 0, 0, 0}}, out)) << height << " x " << width;
      EXPECT_EQ(labels.back(), 9);
    }
  }
}

TEST_F(ZoomTest, ASessionOnAnImageGivesTheEnginesMask) {
  const auto engine = std::make_shared<const Engine>(bundle_, options_);
  const ImageView flat = image();
  const VolumeView volume{flat.data, flat.type, 1, kHeight, kWidth, 1, kWidth, kWidth * kHeight};
  SessionOptions session_options;
  session_options.encode_ahead = false;
  Session session(engine, volume, session_options);
  for (const Box& box : {kSmall, kLarge}) {
    session.add_box("it", box, {0, 0});
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(kHeight * kWidth));
    session.mask("it", {mask.data(), LabelType::u8, 1, kHeight, kWidth, kWidth, kHeight * kWidth});
    const auto expected = segmented(*engine, flat, {box});
    EXPECT_TRUE(std::equal(mask.begin(), mask.end(), expected.begin(), expected.end()));
  }
}

TEST_F(ZoomTest, SlicesOfVolumesHaveNoWindows) {
  options_.cache_bytes = 0;
  const Engine engine(bundle_, options_);
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(kHeight * kWidth));
  const ImageView flat = image();
  const VolumeView volume{flat.data, flat.type, 1, kHeight, kWidth, 1, kWidth, kWidth * kHeight};
  const LabelVolumeView out{labels.data(), LabelType::u8, 1, kHeight, kWidth, kWidth, kHeight * kWidth};
  EXPECT_EQ(runs_of([&] {
              engine.segment_volume(volume, {{kSmall.x0, kSmall.y0, 0, kSmall.x1, kSmall.y1, 0}}, out);
            }),
            2);
}

}  // namespace
}  // namespace medsam
