// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The C API on volumes, its callbacks, and many engines and threads at once.
#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/c_api_test.hpp"

namespace medsam {
namespace {

constexpr std::int64_t kDepth = 12, kHeight = 48, kWidth = 64, kSlice = kHeight * kWidth;
const medsam_box_3d kBoxes[] = {{16, 8, 3, 47, 39, 7}, {0, 0, 5, 20, 20, 11}};

struct Steps {
  std::vector<std::int64_t> done;
  std::int64_t total = 0;
  int asked = 0, stop_at = -1;
};

void note_progress(void* context, std::int64_t done, std::int64_t total) {
  auto& steps = *static_cast<Steps*>(context);
  steps.done.push_back(done);
  steps.total = total;
}

std::int32_t ask(void* context) {
  auto& steps = *static_cast<Steps*>(context);
  return ++steps.asked == steps.stop_at ? 1 : 0;
}

class CVolumeTest : public CApiTest {
 protected:
  void SetUp() override {
    CApiTest::SetUp();
    voxels_.resize(kDepth * kSlice);
    std::mt19937 random(5);
    for (auto& v : voxels_) v = static_cast<std::uint8_t>(random());
  }
  medsam_volume volume() const { return {voxels_.data(), MEDSAM_PIXEL_U8, 1, kDepth, kHeight, kWidth, kWidth, kSlice}; }
  medsam_status segment(const CEngine& engine, std::vector<std::uint8_t>& labels, const medsam_volume_options* options,
                        medsam_volume_stats* stats = nullptr) {
    labels.assign(kDepth * kSlice, 99);
    const medsam_volume in = volume();
    const medsam_label_volume out{labels.data(), MEDSAM_LABEL_U8, 0, kDepth, kHeight, kWidth, kWidth, kSlice};
    return medsam_segment_volume(engine.get(), &in, kBoxes, 2, &out, options, stats);
  }

  std::vector<std::uint8_t> voxels_;
};

TEST_F(CVolumeTest, SegmentsAsCppDoesAndTellsItsProgress) {
  std::vector<std::uint8_t> wanted(kDepth * kSlice), labels;
  const auto wanted_stats =
      Engine(bundle_, options_)
          .segment_volume({voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kSlice},
                          {{16, 8, 3, 47, 39, 7}, {0, 0, 5, 20, 20, 11}},
                          {wanted.data(), LabelType::u8, kDepth, kHeight, kWidth, kWidth, kSlice});
  const CEngine made = engine();
  Steps steps;
  auto options = initialized(medsam_volume_options_init);
  options.progress = note_progress;
  options.progress_context = &steps;
  options.cancelled = ask;
  options.cancelled_context = &steps;
  medsam_volume_stats stats[2]{};
  ASSERT_EQ(segment(made, labels, &options, stats), MEDSAM_OK) << medsam_last_error();
  EXPECT_EQ(labels, wanted);
  for (std::size_t k = 0; k < 2; ++k) {
    EXPECT_EQ(stats[k].voxels, wanted_stats[k].voxels);
    EXPECT_EQ(stats[k].x0, wanted_stats[k].x0);
    EXPECT_EQ(stats[k].y0, wanted_stats[k].y0);
    EXPECT_EQ(stats[k].z0, wanted_stats[k].z0);
    EXPECT_EQ(stats[k].x1, wanted_stats[k].x1);
    EXPECT_EQ(stats[k].y1, wanted_stats[k].y1);
    EXPECT_EQ(stats[k].z1, wanted_stats[k].z1);
  }
  ASSERT_FALSE(steps.done.empty());
  EXPECT_TRUE(std::is_sorted(steps.done.begin(), steps.done.end()));
  EXPECT_EQ(steps.done.back(), steps.total);
  EXPECT_GT(steps.asked, 0);
  ASSERT_EQ(segment(made, labels, nullptr), MEDSAM_OK) << "options and stats may be NULL";
  EXPECT_EQ(labels, wanted);
}

TEST_F(CVolumeTest, ThreePlanesAreThoseOfCpp) {
  // The same voxels as a volume whose axes are all long enough.
  constexpr std::int64_t kRows = 16, kPlane = kRows * kWidth, kPlanes = kDepth * kSlice / kPlane;
  const Box3D box{16, 2, 3, 47, 13, 20};
  VolumeOptions how;
  how.profile = "clinical";
  how.planes = VolumePlanes::three;
  how.spacing_x = how.spacing_y = 0.8;
  how.spacing_z = 1;
  std::vector<std::uint8_t> wanted(kDepth * kSlice), labels(kDepth * kSlice);
  Engine(bundle_, options_)
      .segment_volume({voxels_.data(), PixelType::u8, kPlanes, kRows, kWidth, 1, kWidth, kPlane}, {box},
                      {wanted.data(), LabelType::u8, kPlanes, kRows, kWidth, kWidth, kPlane}, how);
  const CEngine made = engine();
  const medsam_volume in{voxels_.data(), MEDSAM_PIXEL_U8, 1, kPlanes, kRows, kWidth, kWidth, kPlane};
  const medsam_label_volume out{labels.data(), MEDSAM_LABEL_U8, 0, kPlanes, kRows, kWidth, kWidth, kPlane};
  const medsam_box_3d asked{box.x0, box.y0, box.z0, box.x1, box.y1, box.z1};
  auto options = initialized(medsam_volume_options_init);
  options.profile = "clinical";
  options.planes = MEDSAM_PLANES_THREE;
  const auto run = [&] { return medsam_segment_volume(made.get(), &in, &asked, 1, &out, &options, nullptr); };
  EXPECT_FAILS(run(), MEDSAM_INVALID_ARGUMENT, "without the spacing");
  options.spacing_x = options.spacing_y = 0.8;
  options.spacing_z = 1;
  ASSERT_EQ(run(), MEDSAM_OK) << medsam_last_error();
  EXPECT_EQ(labels, wanted);
  EXPECT_GT(std::count(labels.begin(), labels.end(), 1), 0);
  options.planes = 2;
  EXPECT_FAILS(run(), MEDSAM_INVALID_ARGUMENT, "MEDSAM_PLANES_");
  options.planes = MEDSAM_PLANES_SLICES;
  options.reserved = 1;
  EXPECT_FAILS(run(), MEDSAM_INVALID_ARGUMENT, "reserved");
}

TEST_F(CVolumeTest, IsCancelledWhereTheCallbackAsksForIt) {
  const CEngine made = engine();
  std::vector<std::uint8_t> labels;
  Steps steps;
  steps.stop_at = 3;
  auto options = initialized(medsam_volume_options_init);
  options.cancelled = ask;
  options.cancelled_context = &steps;
  EXPECT_EQ(segment(made, labels, &options), MEDSAM_CANCELLED);
  EXPECT_EQ(steps.asked, 3);
  EXPECT_STRNE(medsam_last_error(), "");
  EXPECT_EQ(segment(made, labels, nullptr), MEDSAM_OK) << "the engine goes on working";
}

TEST_F(CVolumeTest, TheProfileOfACallIsChecked) {
  const CEngine made = engine();
  std::vector<std::uint8_t> labels;
  auto options = initialized(medsam_volume_options_init);
  options.profile = "clinical";
  EXPECT_EQ(segment(made, labels, &options), MEDSAM_OK) << medsam_last_error();
  options.profile = "nope";
  EXPECT_FAILS(segment(made, labels, &options), MEDSAM_INVALID_ARGUMENT, "nope");
  options.profile = nullptr;
  options.modality = "not a modality";
  EXPECT_FAILS(segment(made, labels, &options), MEDSAM_INVALID_ARGUMENT, "not a modality");
}

TEST_F(CVolumeTest, ImageCallsAreCancelledToo) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  Steps steps;
  steps.stop_at = 2;
  std::vector<medsam_prompt> prompts(100, initialized(medsam_prompt_init));
  const medsam_box box{0, 0, 63, 47};
  for (medsam_prompt& prompt : prompts) prompt.box = &box;
  auto options = initialized(medsam_predict_options_init);
  options.cancelled = ask;
  options.cancelled_context = &steps;
  auto* out = reinterpret_cast<medsam_prediction*>(&steps);  // anything but NULL
  EXPECT_EQ(medsam_predict(made.get(), embedding.get(), prompts.data(), 100, &options, &out), MEDSAM_CANCELLED);
  EXPECT_EQ(out, nullptr);
  EXPECT_EQ(steps.asked, 2);

  std::vector<std::uint16_t> labels;
  const medsam_labels c_view = c_labels(labels);
  const medsam_image in = c_image();
  auto how = initialized(medsam_segment_options_init);
  how.cancelled = ask;
  how.cancelled_context = &steps;
  steps = {{}, 0, 0, 1};
  EXPECT_EQ(medsam_segment(made.get(), &in, &box, 1, &c_view, &how, nullptr), MEDSAM_CANCELLED);
  steps = {{}, 0, 0, 1};
  EXPECT_EQ(medsam_segment_embedding(made.get(), embedding.get(), &box, 1, &c_view, &how, nullptr), MEDSAM_CANCELLED);
}

TEST_F(CVolumeTest, TwoEnginesShareNothingButTheirFiles) {
  auto manifest = testing::tiny_manifest();
  manifest["profile"]["image"]["interpolation"] = "linear";
  const std::string other_bundle = testing::write_tiny_bundle(folder_.path("other"), manifest);
  // A cache folder that cannot be made is a warning, which tells whose callback and context is called.
  testing::write_file(folder_.path("file"), "");
  const std::string unusable = folder_.path("file/below");
  struct Log {
    std::vector<std::string> lines;
    int warnings = 0;
  } logs[2];
  const auto log = [](void* context, std::int32_t level, const char* message) {
    static_cast<Log*>(context)->lines.emplace_back(message);
    static_cast<Log*>(context)->warnings += level == MEDSAM_LOG_WARNING ? 1 : 0;
  };
  c_options_.log = log;
  c_options_.log_context = &logs[0];
  c_options_.threads = 1;
  c_options_.cache_bytes = 0;
  const CEngine one = engine();
  c_options_.log_context = &logs[1];
  c_options_.threads = 2;
  c_options_.cache_bytes = 1 << 20;
  c_options_.cache_dir = unusable.c_str();
  c_options_.embedding_storage = MEDSAM_EMBEDDING_F16;
  const CEngine other = engine(other_bundle);
  EXPECT_EQ(logs[0].lines.size(), 0u);
  ASSERT_EQ(logs[1].warnings, 1);
  EXPECT_MESSAGE_HAS(logs[1].lines[0], "cache folder");

  auto info = initialized(medsam_engine_info_init);
  EXPECT_OK(medsam_engine_get_info(one.get(), &info));
  EXPECT_EQ(info.threads, 1);
  EXPECT_OK(medsam_engine_get_info(other.get(), &info));
  EXPECT_EQ(info.threads, 2);

  const CEmbedding of_one = encode(one), of_other = encode(other);
  auto stats = initialized(medsam_cache_stats_init);
  EXPECT_OK(medsam_engine_get_cache_stats(one.get(), &stats));
  EXPECT_EQ(stats.entries, 0u);
  EXPECT_OK(medsam_engine_get_cache_stats(other.get(), &stats));
  EXPECT_EQ(stats.entries, 1u);
  medsam_prediction* out = nullptr;
  medsam_prompt prompt = initialized(medsam_prompt_init);
  const medsam_box box{16, 8, 47, 39};
  prompt.box = &box;
  EXPECT_EQ(medsam_predict(one.get(), of_other.get(), &prompt, 1, nullptr, &out), MEDSAM_MODEL_ERROR);
  EXPECT_NE(predict(one, of_one, box), nullptr);
  EXPECT_NE(predict(other, of_other, box), nullptr);
}

TEST_F(CVolumeTest, ManyThreadsCallOneEngineAndKeepTheirOwnMessages) {
  const CEngine made = engine();
  std::vector<std::uint8_t> wanted;
  ASSERT_EQ(segment(made, wanted, nullptr), MEDSAM_OK);
  const CEmbedding embedding = encode(made);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        std::vector<std::uint8_t> labels;
        if (segment(made, labels, nullptr) != MEDSAM_OK || labels != wanted) ++wrong;
        medsam_prompt prompt = initialized(medsam_prompt_init);
        const medsam_box box{0, 0, 1000.0 + t, 10};
        prompt.box = &box;
        medsam_prediction* out = nullptr;
        if (medsam_predict(made.get(), embedding.get(), &prompt, 1, nullptr, &out) != MEDSAM_INVALID_ARGUMENT) ++wrong;
        if (std::string(medsam_last_error()).find(std::to_string(1000 + t)) == std::string::npos) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace medsam
