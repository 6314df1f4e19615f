// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Sessions as files: what is saved comes back, and nothing else is believed.
#include "session/session_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "base/sha256.hpp"
#include "medsam/error.hpp"
#include "support/file_size_limit.hpp"
#include "support/raised.hpp"
#include "support/session_calls.hpp"
#include "support/session_test.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

using testing::raised;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A file of this line with the right digest.
std::string sealed(const std::string& line) { return line + "\n" + sha256_hex(line) + "\n"; }

class SessionFileTest : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    path_ = folder_.path("session");
  }
  static void fill(Session& session) {
    session.add_box("liver", Box{8, 4, 23, 15}, {0, 3});
    session.add_click("liver", {9.25, 7.125}, false, {0, 3});
    session.add_scribble("Leber \xc3\xa4 \"quoted\" \\", {{3, 1}, {4.1, 2}, {7, 3.3}}, true, {1, 7});
    session.add_lasso("lasso", {{1, 1}, {9, 1}, {5, 6}}, {2, 20});
    session.add_line("line", {-0.5, 3}, {20, 3.5}, {0, 6});
    session.add_box("3d", Box3D{8, 4, 1, 23, 15, 4});
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(kDepth * kSlice), 1);
    mask[70] = 0;
    session.add_mask("mask", out(mask));
    session.lock("liver");
  }
  /// The JSON of a file that holds what fill() makes.
  nlohmann::json saved() {
    const auto made = session();
    fill(*made);
    made->save(path_);
    const std::string text = content_of(path_);
    return nlohmann::json::parse(text.substr(0, text.find('\n')));
  }
  /// The file is refused with InvalidArgument, in one line, and the session stays as it was.
  static void expect_refused(Session& session, const std::string& path) {
    const Shown before = shown(session);
    const std::string message = raised<InvalidArgument>([&] { session.load(path); });
    EXPECT_NE(message, "none");
    EXPECT_EQ(message.find("another error"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(shown(session), before);
  }

  std::string path_;
};

TEST_F(SessionFileTest, WhatIsSavedComesBack) {
  const auto made = session();
  fill(*made);
  made->propagate("line");
  made->save(path_);
  const auto again = session();
  again->add_box("other", Box{1, 1, 5, 5}, {0, 0});
  const Shown before = shown(*again);
  const VoxelBox changed = again->load(path_);
  EXPECT_EQ(shown(*again), shown(*made));
  EXPECT_EQ(labels_of(*again), labels_of(*made));
  EXPECT_EQ(changed, difference(before, shown(*made)));
  again->save(folder_.path("again"));
  EXPECT_EQ(content_of(folder_.path("again")), content_of(path_)) << "prompts come back to the last bit";
  again->undo();
  EXPECT_EQ(shown(*again), before) << "a step like any other";
  // What follows is the same, too.
  again->redo();
  for (Session* one : {made.get(), again.get()}) {
    one->add_click("line", {5, 5}, true, {0, 6});
    one->propagate("line");
  }
  EXPECT_EQ(shown(*again), shown(*made));
}

TEST_F(SessionFileTest, AnEmptySessionToo) {
  const auto made = session();
  made->save(path_);
  fill(*made);
  made->load(path_);
  EXPECT_TRUE(made->objects().empty());
}

TEST_F(SessionFileTest, RandomSessionsToo) {
  constexpr std::int64_t kShape[3] = {kDepth, kHeight, kWidth};
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    std::mt19937 random(seed);
    const auto made = session();
    testing::SessionPlayer player(*made, kShape);
    for (int i = 0; i < 20; ++i) {
      player.play(testing::random_call(kShape, [&](std::uint32_t n) { return random() % n; }));
    }
    made->save(path_);
    const auto again = session();
    again->load(path_);
    EXPECT_EQ(shown(*again), shown(*made)) << seed;
  }
}

TEST_F(SessionFileTest, OfAnotherImageOrSpacingIsRefused) {
  saved();
  ++voxels_[100];
  expect_refused(*session(), path_);
  --voxels_[100];
  session_options_.spacing_z = std::nextafter(2.5, 3.0);
  expect_refused(*session(), path_);
  session_options_.spacing_z = 2.5;
  session()->load(path_);
  Session image(engine(), {voxels_.data(), PixelType::u8, 1, kHeight, kWidth, 1, kWidth, kSlice}, session_options_);
  EXPECT_NE(raised<InvalidArgument>([&] { image.load(path_); }).find("another image"), std::string::npos);
}

TEST_F(SessionFileTest, AChangedOrMissingByteAnywhereIsRefused) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 11, 7}, {0, 3});
  made->save(path_);
  const std::string text = content_of(path_);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    testing::write_file(path_, flipped);
    ASSERT_NE(raised<InvalidArgument>([&] { made->load(path_); }), "none") << i;
    testing::write_file(path_, text.substr(0, i));
    ASSERT_NE(raised<InvalidArgument>([&] { made->load(path_); }), "none") << i;
  }
  testing::write_file(path_, text + "\n");
  expect_refused(*made, path_);
  testing::write_file(path_, "\n" + text);
  expect_refused(*made, path_);
  testing::write_file(path_, text + text);
  expect_refused(*made, path_);
}

TEST_F(SessionFileTest, WhatIsNoReadableFileIsRefused) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 11, 7}, {0, 3});
  expect_refused(*made, folder_.path("no such file"));
  EXPECT_NE(raised<InvalidArgument>([&] { made->load(folder_.path("missing")); }).find("missing"), std::string::npos)
      << "the error names the file";
  expect_refused(*made, "");
  expect_refused(*made, folder_.path());
  const std::string pipe = folder_.path("pipe");
  if (testing::make_fifo(pipe)) expect_refused(*made, pipe);
  expect_refused(*made, testing::kPosix ? "/dev/zero" : "NUL");
  made->save(path_);
  expect_refused(*made, path_ + std::string("\0hidden", 7));
}

TEST_F(SessionFileTest, WhatCannotBeWrittenIsSaidAndLeavesNothing) {
  const auto made = session();
  fill(*made);
  const auto refused = [&](const std::string& path) {
    const std::string message = raised<InvalidArgument>([&] { made->save(path); });
    EXPECT_NE(message.find("session file"), std::string::npos) << message;
  };
  refused(folder_.path("no such folder/session"));
  refused(folder_.path());
  refused("");
  refused(path_ + std::string("\0hidden", 7));
  testing::write_file(folder_.path("file"), "");
  refused(folder_.path("file/session"));
  made->save(path_);
  const std::string before = content_of(path_);
  made->add_box("new", Box{1, 1, 20, 20}, {0, 0});
  if (testing::kPosix) {
    const testing::FileSizeLimit full(100);
    refused(path_);
  }
  EXPECT_EQ(content_of(path_), before) << "the file appears whole or not at all";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    files += entry.path().filename().string().find("medsam-tmp") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(files, 0u);
}

TEST_F(SessionFileTest, HostileContentWithARightDigestIsRefused) {
  const nlohmann::json good = saved();
  const auto made = session();
  made->add_box("a", Box{8, 4, 11, 7}, {0, 3});
  const auto refuse = [&](const std::string& what, const std::function<void(nlohmann::json&)>& change) {
    SCOPED_TRACE(what);
    nlohmann::json json = good;
    change(json);
    testing::write_file(path_, sealed(json.dump()));
    expect_refused(*made, path_);
  };
  const auto in_objects = [&](const std::string& field, const std::vector<nlohmann::json>& values) {
    for (const auto& value : values) {
      refuse(field + " " + value.dump(), [&](nlohmann::json& json) { json["objects"][0][field] = value; });
    }
  };
  const nlohmann::json none, huge = 1e300, deep = nlohmann::json::array({nlohmann::json::array({1})});
  for (const char* field : {"format", "version", "pixels", "objects"}) {
    refuse(field, [&](nlohmann::json& json) { json.erase(field); });
    for (const auto& value : {none, huge, deep, nlohmann::json(-1), nlohmann::json("x"), nlohmann::json::object()}) {
      refuse(field, [&](nlohmann::json& json) { json[field] = value; });
    }
  }
  refuse("unknown field", [](nlohmann::json& json) { json["more"] = 1; });
  in_objects("name", {none, 1, "", "a\nb", std::string(501, 'n'), "3d"});
  in_objects("locked", {none, 1, "true"});
  in_objects(
      "prompts",
      {none, 1, {1}, {{{"kind", "no such"}}}, deep, {{{"kind", "mask"}}}, {{{"kind", "mask"}, {"answer", {1}}}}});
  in_objects("mask", {none,
                      1,
                      {1},
                      {0, -1},
                      {-1, 1},
                      {0.5, 1},
                      {0, 1e300},
                      {kDepth * kSlice, 1},
                      {0, kDepth * kSlice + 1},
                      {std::numeric_limits<std::uint64_t>::max(), 1},
                      {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()},
                      {1, kDepth * kSlice, 1, 1}});
  refuse("unknown field of an object", [](nlohmann::json& json) { json["objects"][0]["more"] = 1; });
}

TEST_F(SessionFileTest, HostilePromptsWithARightDigestAreRefused) {
  const nlohmann::json good = saved();
  const auto made = session();
  const auto refuse = [&](const nlohmann::json& prompt) {
    SCOPED_TRACE(prompt.dump());
    nlohmann::json json = good;
    json["objects"][0]["prompts"] = {prompt};
    testing::write_file(path_, sealed(json.dump()));
    expect_refused(*made, path_);
  };
  const nlohmann::json box{{"kind", "box"}, {"axis", 0}, {"index", 3}, {"positive", true}, {"points", {8, 4, 11, 7}}};
  const auto with = [](nlohmann::json json, const char* field, const nlohmann::json& value) {
    json[field] = value;
    return json;
  };
  for (const auto& value : {nlohmann::json(3), nlohmann::json(-1), nlohmann::json(0.5), nlohmann::json("0")}) {
    refuse(with(box, "axis", value));
  }
  for (const auto& value : {nlohmann::json(kDepth), nlohmann::json(-1), nlohmann::json(1e300)}) {
    refuse(with(box, "index", value));
  }
  using List = std::vector<double>;
  for (const List& points : {List{}, List{8, 4, 11}, List{8, 4}, List{8, 4, 11, 7, 1, 1}, List{11, 4, 8, 7},
                             List{8, 7, 11, 4}, List{-0.5, 4, 11, 7}, List{8, 4, 1e300, 7}, List{8, 4, 40, 7}}) {
    refuse(with(box, "points", points));
  }
  for (const List& answer : {List{}, List{1, 2, 3}, List{8, 4, 7, 7}, List{-1, 4, 11, 7}, List{8, 4, 40, 7}}) {
    refuse(with(box, "answer_box", answer));
  }
  const auto click = with(box, "kind", "click");
  refuse(with(click, "points", List{1, 1, 2, 2}));
  refuse(with(click, "points", List{}));
  refuse(with(with(box, "kind", "lasso"), "points", List{1, 1, 2, 2}));
  refuse(with(with(box, "kind", "scribble"), "points", List(200002, 1.0)));
  for (const List& v : {List{}, List{1, 1, 1, 2, 2}, List{1e300, 1, 1, 1e300, 2, 2}, List{2, 1, 1, 1, 2, 2},
                        List{1, 1, 1, 2, 2, 1e18}, List{1, 1, -5, 2, 2, 2}, List{1, 1, 0.5, 2, 2, 2}}) {
    refuse({{"kind", "box_3d"}, {"box", v}, {"answer", List{}}});
  }
}

TEST_F(SessionFileTest, TextThatIsNoJsonIsRefusedWhateverItsDigest) {
  const auto made = session();
  for (const std::string& line :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("\xff\xfe"),
        std::string(100000, '['), std::string("{\"format\":\"medsam-session\",\"version\":1e999}"),
        std::string("a\0b", 3)}) {
    testing::write_file(path_, sealed(line));
    expect_refused(*made, path_);
  }
}

}  // namespace
}  // namespace medsam
