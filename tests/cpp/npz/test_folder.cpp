// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The folder runner over the fake backend: what it answers, what it leaves alone, and how it goes on after a fault.
#include "medsam/folder.hpp"

#include <fstream>
#include <sstream>

#include "support/colliding_images.hpp"
#include "support/folder_test.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;
using testing::case_bytes;
using testing::npy;
using testing::raw;
using testing::write_file;

TEST_F(FolderTest, CasesThatWereMadeToCollideAreAnsweredForAsIfAlone) {
  const testing::CollidingImages images({128, 128, 1, 0}, {64, 128, 1, 1}, 128 * 128,
                                        Engine(bundle_, options_).info().fingerprint);
  ASSERT_TRUE(images.collide());
  add_case("2DBox_a.npz", case_bytes(npy("|u1", "(128, 128)", raw(images.first())),
                                     npy("<i8", "(1, 4)", raw<std::int64_t>({0, 0, 127, 127}))));
  add_case("3DBox_b.npz", case_bytes(npy("<u2", "(1, 64, 128)", raw(images.second())),
                                     npy("<i8", "(1, 6)", raw<std::int64_t>({0, 0, 0, 127, 63, 0}))));
  ASSERT_EQ(run().done, 2);
  const std::string together = content(answer("3DBox_b.npz"));
  fs::remove(folder_.path("in/2DBox_a.npz"));
  fs::remove_all(folder_.path("made"));
  ASSERT_EQ(run().done, 1);
  EXPECT_EQ(together, content(answer("3DBox_b.npz")));
}

TEST_F(FolderTest, AnswersAreTheEngines) {
  add_image("2DBox_b.npz", {5, 6, 30, 40, 20, 10, 60, 47});
  add_volume("3DBox_a.npz");
  write_file(folder_.path("in/readme.txt"), "no case");
  write_file(folder_.path("in/.hidden.npz"), "no case");
  const FolderReport report = run();
  ASSERT_EQ(report.cases.size(), 2U);
  EXPECT_EQ(report.done, 2);
  EXPECT_EQ(report.failed + report.skipped, 0);
  EXPECT_FALSE(report.cancelled);
  EXPECT_EQ(report.cases[0].name, "2DBox_b.npz");
  EXPECT_EQ(report.cases[0].objects, 2);
  EXPECT_EQ(report.cases[0].slices, 1);
  EXPECT_EQ(report.cases[1].slices, 4);
  for (const CaseReport& c : report.cases) {
    EXPECT_GT(c.read_s, 0);
    EXPECT_GT(c.segment_s, 0);
    EXPECT_GT(c.write_s, 0);
  }

  const Engine engine(bundle_, options_);
  std::vector<std::uint16_t> expected;
  const LabelView labels = view(expected);
  engine.segment(image(), {{5, 6, 30, 40}, {20, 10, 60, 47}}, labels);
  const npz::NpyArray got = segs("2DBox_b.npz");
  EXPECT_EQ(got.describe(), "uint16 (48, 64)");
  EXPECT_EQ(std::memcmp(got.data(), expected.data(), expected.size() * 2), 0);

  const std::vector<std::uint8_t> voxels(1280, 7);
  std::vector<std::uint16_t> volume(1280);
  engine.segment_volume({voxels.data(), PixelType::u8, 4, 16, 20, 1, 20, 320}, {{2, 3, 0, 12, 10, 3}},
                        {volume.data(), LabelType::u16, 4, 16, 20, 40, 640});
  const npz::NpyArray got_volume = segs("3DBox_a.npz");
  EXPECT_EQ(got_volume.describe(), "uint16 (4, 16, 20)");
  EXPECT_EQ(std::memcmp(got_volume.data(), volume.data(), volume.size() * 2), 0);
}

TEST_F(FolderTest, ThreeHundredBoxesKeepTheirLabels) {
  std::vector<std::uint16_t> boxes;
  for (std::uint16_t i = 0; i < 300; ++i) {
    const auto x = static_cast<std::uint16_t>(i % 20 * 3), y = static_cast<std::uint16_t>(i / 20 * 3);
    boxes.insert(boxes.end(), {x, y, static_cast<std::uint16_t>(x + 3), static_cast<std::uint16_t>(y + 3)});
  }
  add_image("2DBox_many.npz", boxes);
  const FolderReport report = run();
  EXPECT_EQ(report.done, 1);
  EXPECT_EQ(report.cases[0].objects, 300);
  const npz::NpyArray got = segs("2DBox_many.npz");
  const auto* labels = reinterpret_cast<const std::uint16_t*>(got.data());
  EXPECT_EQ(*std::max_element(labels, labels + got.count()), 300);
}

TEST_F(FolderTest, ZeroBoxesAreAnsweredWithoutTheModel) {
  add_image("2DBox_none.npz", {});
  add_case("3DBox_none.npz", case_bytes(npy("<f4", "(2, 3, 4)", std::string(96, '\0')), npy("<f8", "(0,)", "")));
  const int before = testing::fake_backend().runs;
  EXPECT_EQ(run().done, 2);
  EXPECT_EQ(testing::fake_backend().runs, before);
  const npz::NpyArray image = segs("2DBox_none.npz"), volume = segs("3DBox_none.npz");
  EXPECT_EQ(volume.describe(), "uint16 (2, 3, 4)");
  for (std::int64_t i = 0; i < 2 * image.count(); ++i) ASSERT_EQ(image.data()[i], 0);
  for (std::int64_t i = 0; i < 2 * volume.count(); ++i) ASSERT_EQ(volume.data()[i], 0);
}

TEST_F(FolderTest, ABrokenCaseIsReportedAndTheRestGoOn) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  add_case("2DBox_b.npz", "this is a text, not an npz");
  add_image("2DBox_c.npz", {1, 1, 200, 20});
  add_image("2DBox_d.npz", {20, 1, 10, 20});
  add_image("2DBox_e.npz", {1, 1, 20, 20});
  std::vector<std::string> ended;
  folder_options_.finished = [&](const CaseReport& r) { ended.push_back(r.name); };
  const FolderReport report = run();
  EXPECT_EQ(report.done, 2);
  EXPECT_EQ(report.failed, 3);
  EXPECT_EQ(ended,
            (std::vector<std::string>{"2DBox_a.npz", "2DBox_b.npz", "2DBox_c.npz", "2DBox_d.npz", "2DBox_e.npz"}));
  EXPECT_NE(report.cases[1].message.find("no ZIP"), std::string::npos) << report.cases[1].message;
  EXPECT_NE(report.cases[2].message.find("boxes[0]"), std::string::npos) << report.cases[2].message;
  EXPECT_NE(report.cases[3].message.find("boxes[0]"), std::string::npos) << report.cases[3].message;
  EXPECT_EQ(answers(), 2U);
}

TEST_F(FolderTest, AFaultOfTheBackendIsOneCasesOwn) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  add_image("2DBox_b.npz", {2, 2, 20, 20});
  const Engine engine(bundle_, options_);
  testing::fake_backend().fail_after = 0;
  const FolderReport report = run_folder(engine, folder_options_);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.done, 1);
  EXPECT_NE(report.cases[0].message.find("told to fail"), std::string::npos);
}

TEST_F(FolderTest, SkipsFinishedCasesUnlessToldToOverwrite) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  EXPECT_EQ(run().done, 1);
  add_image("2DBox_a.npz", {});  // another answer, if it were done again
  add_image("2DBox_b.npz", {1, 1, 20, 20});
  FolderReport report = run();
  EXPECT_EQ(report.skipped, 1);
  EXPECT_EQ(report.done, 1);
  EXPECT_EQ(report.cases[0].status, CaseStatus::skipped);
  const auto painted = [&] {
    const npz::NpyArray labels = segs("2DBox_a.npz");
    return std::any_of(labels.data(), labels.data() + 2 * labels.count(), [](std::uint8_t v) { return v != 0; });
  };
  EXPECT_TRUE(painted());

  FolderRun nothing(folder_options_);
  EXPECT_EQ(nothing.pending(), 0);
  EXPECT_EQ(nothing.size(), 2);
  EXPECT_EQ(nothing.run().skipped, 2);  // no engine needed
  EXPECT_THROW(nothing.run(), InvalidArgument);

  folder_options_.overwrite = true;
  EXPECT_THROW(FolderRun(folder_options_).run(), InvalidArgument);
  EXPECT_EQ(run().done, 2);
  EXPECT_FALSE(painted());
}

TEST_F(FolderTest, AForeignFileIsNotOverwritten) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  fs::create_directories(folder_options_.output);
  write_file(answer("2DBox_a.npz"), "precious");
  const FolderReport report = run();
  EXPECT_EQ(report.failed, 1);
  EXPECT_NE(report.cases[0].message.find("segs"), std::string::npos);
  EXPECT_EQ(fs::file_size(answer("2DBox_a.npz")), 8U);
}

TEST_F(FolderTest, CancellingLeavesWholeFilesAndARunGoesOn) {
  for (const char* name : {"2DBox_a.npz", "2DBox_b.npz", "2DBox_d.npz"}) add_image(name, {1, 1, 20, 20});
  add_volume("2DBox_c.npz");  // fails: it is no image
  bool stop = false;
  folder_options_.finished = [&](const CaseReport&) { stop = true; };
  folder_options_.cancelled = [&] { return stop; };
  const FolderReport report = run();
  EXPECT_TRUE(report.cancelled);
  EXPECT_GE(report.done, 1);
  EXPECT_LT(report.cases.size(), 4U);
  EXPECT_EQ(answers(), static_cast<std::size_t>(report.done));
  folder_options_.cancelled = nullptr;
  const FolderReport rest = run();
  EXPECT_EQ(rest.skipped, report.done);
  EXPECT_EQ(rest.done + rest.skipped, 3);
  EXPECT_EQ(rest.failed, 1);
}

TEST_F(FolderTest, CancellingInsideAVolumeWritesNothingOfIt) {
  add_volume("3DBox_a.npz");
  bool stop = false;
  folder_options_.progress = [&](const FolderProgress& p) { stop = p.step > 0; };
  folder_options_.cancelled = [&] { return stop; };
  const FolderReport report = run();
  EXPECT_TRUE(report.cancelled);
  EXPECT_TRUE(report.cases.empty());
  EXPECT_EQ(answers(), 0U);
}

TEST_F(FolderTest, TellsHowFarItIs) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  add_volume("3DBox_b.npz");
  std::vector<FolderProgress> told;
  folder_options_.progress = [&](const FolderProgress& p) { told.push_back(p); };
  run();
  ASSERT_GE(told.size(), 3U);
  EXPECT_EQ(told.front().name, "2DBox_a.npz");
  EXPECT_EQ(told.front().case_count, 2);
  EXPECT_EQ(told.back().case_index, 1);
  EXPECT_EQ(told.back().step, told.back().steps);
  EXPECT_GT(told.back().steps, 0);
}

TEST_F(FolderTest, WithoutReadingAheadTheAnswersAreTheSame) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  add_image("2DBox_b.npz", {5, 1, 50, 20});
  add_volume("3DBox_c.npz");
  const auto contents = [&] {
    std::string all;
    for (const char* name : {"2DBox_a.npz", "2DBox_b.npz", "3DBox_c.npz"}) {
      const npz::NpyArray labels = segs(name);
      all.append(reinterpret_cast<const char*>(labels.data()), static_cast<std::size_t>(2 * labels.count()));
    }
    return all;
  };
  EXPECT_EQ(run().done, 3);
  const std::string ahead = contents();
  folder_options_.ahead_bytes = 0;
  folder_options_.overwrite = true;
  EXPECT_EQ(run().done, 3);
  EXPECT_EQ(contents(), ahead);
}

TEST_F(FolderTest, WritesATableOfTimes) {
  add_image("2DBox_a,b.npz", {1, 1, 20, 20});
  add_case("2DBox_c.npz", "broken");
  folder_options_.csv = folder_.path("times.csv");
  const FolderReport report = run();
  EXPECT_EQ(report.csv_fault, "");
  const std::string table = csv();
  EXPECT_EQ(table.substr(0, table.find('\n')),
            "case,status,objects,slices,read_s,segment_s,write_s,total_s,empty_objects,message");
  EXPECT_NE(table.find("\n\"2DBox_a,b.npz\",done,1,1,0.0"), std::string::npos) << table;
  EXPECT_NE(table.find("\n2DBox_c.npz,failed,0,0,"), std::string::npos) << table;
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3);
  run();
  EXPECT_NE(csv().find("skipped"), std::string::npos);
  if (!testing::kPosix) return;  // no device that is always full
  folder_options_.csv = "/dev/full";
  folder_options_.overwrite = true;
  const FolderReport full = run();
  EXPECT_EQ(full.done, 1);  // the answers matter more than the table
  EXPECT_NE(full.csv_fault.find("csv"), std::string::npos);
}

TEST_F(FolderTest, RefusesFoldersItCannotUse) {
  const auto refused = [&](const std::string& words) {
    try {
      const FolderRun run(folder_options_);
      ADD_FAILURE() << "not refused; expected: " << words;
    } catch (const InvalidArgument& e) {
      EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
    }
  };
  refused("no *.npz");
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  const FolderOptions good = folder_options_;
  folder_options_.input = folder_.path("absent");
  refused("input");
  folder_options_ = good;
  folder_options_.output = folder_options_.input + "/.";
  refused("the input folder");
  write_file(folder_.path("file"), "x");
  folder_options_.output = folder_.path("file");
  refused("output");
  folder_options_.output = folder_.path("file/under");
  refused("output");
  folder_options_.output = "";
  refused("output");
  folder_options_ = good;
  folder_options_.csv = folder_.path("absent/times.csv");
  refused("csv");
}

TEST_F(FolderTest, ACellOfTheTableIsNoFormula) {
  for (const char* name : {"=1.npz", "+1.npz", "-1.npz", "@1.npz", "2DBox_a=1.npz"}) add_image(name, {1, 1, 20, 20});
  folder_options_.csv = folder_.path("times.csv");
  EXPECT_EQ(run().done, 5);
  for (const char* row : {"\n'=1.npz,done,1,", "\n'+1.npz,", "\n'-1.npz,", "\n'@1.npz,", "\n2DBox_a=1.npz,done,"}) {
    EXPECT_NE(csv().find(row), std::string::npos) << row << " in " << csv();
  }
}

TEST_F(FolderTest, ACaseAboveTheLimitFailsAndTheRestGoOn) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  const std::string imgs = npy("|u1", "(200, 200)", std::string(40000, '\7'));
  add_case("2DBox_b.npz", case_bytes(imgs, npy("|u1", "(1, 4)", std::string("\1\1\5\5"))));
  folder_options_.max_bytes = 20000;
  const FolderReport report = run();
  ASSERT_EQ(report.done, 1);
  const std::string& message = report.cases.at(1).message;
  EXPECT_NE(message.find("expected at most 20000; raise the limit"), std::string::npos) << message;
}

}  // namespace
}  // namespace medsam
