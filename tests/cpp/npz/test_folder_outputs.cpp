// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A run over a folder replaces nothing that it reads, through links neither.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "medsam/error.hpp"
#include "medsam/folder.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;
using testing::write_file;

class FolderOutputs : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"in", "out", "bundle"}) fs::create_directories(folder_.path(name));
    for (const char* name : {"in/a.npz", "in/b.npz", "bundle/encoder.onnx", "truth.npz"}) {
      write_file(folder_.path(name), name);
    }
    options_.input = folder_.path("in");
    options_.output = folder_.path("out");
    options_.also_read = {folder_.path("bundle"), folder_.path("truth.npz"), folder_.path("absent")};
  }

  std::string refusal() const {
    try {
      FolderRun run(options_);
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "";
  }
  void expect_untouched() const {
    for (const char* name : {"in/a.npz", "in/b.npz", "bundle/encoder.onnx", "truth.npz"}) {
      std::ostringstream content;
      content << std::ifstream(folder_.path(name)).rdbuf();
      EXPECT_EQ(content.str(), name);
    }
  }

  testing::TemporaryFolder folder_;
  FolderOptions options_;
};

TEST_F(FolderOutputs, AnAnswerThatIsACaseThroughALink) {
  for (const bool hard : {false, true}) {
    const std::string answer = folder_.path("out/b.npz");
    if (hard) fs::create_hard_link(folder_.path("in/a.npz"), answer);
    if (!hard && !testing::make_link("../in/a.npz", answer)) continue;
    options_.overwrite = true;
    EXPECT_NE(refusal().find("in/a.npz"), std::string::npos) << hard;
    options_.overwrite = false;
    EXPECT_EQ(refusal(), "") << "it is not written";
    fs::remove(answer);
  }
  expect_untouched();
}

TEST_F(FolderOutputs, AnAnswerOrATableThatIsTheBundles) {
  fs::create_hard_link(folder_.path("bundle/encoder.onnx"), folder_.path("out/a.npz"));
  options_.overwrite = true;
  EXPECT_NE(refusal().find("encoder.onnx"), std::string::npos);
  fs::remove(folder_.path("out/a.npz"));
  fs::create_hard_link(folder_.path("bundle/encoder.onnx"), folder_.path("t.csv"));
  for (const char* table : {"bundle/encoder.onnx", "t.csv", "truth.npz", "in/a.npz", "in/../in/b.npz"}) {
    options_.csv = folder_.path(table);
    EXPECT_NE(refusal().find("csv: got"), std::string::npos) << table;
  }
  expect_untouched();
}

TEST_F(FolderOutputs, ATableThatIsAnAnswer) {
  for (const bool there : {false, true}) {
    if (there) write_file(folder_.path("out/a.npz"), "answer");
    options_.csv = folder_.path("in/../out/a.npz");
    EXPECT_NE(refusal().find("is an answer"), std::string::npos) << there;
  }
  options_.csv = folder_.path("out/t.csv");
  EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace medsam
