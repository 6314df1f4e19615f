// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The command line of medsam-npz.
#include <gtest/gtest.h>

#include "../../cpp/apps/arguments.hpp"

namespace medsam::apps {
namespace {

void expect_refused(const std::vector<std::string>& words, const std::string& expected) {
  try {
    static_cast<void>(parse_arguments(words));
    ADD_FAILURE() << "not refused; expected: " << expected;
  } catch (const UsageError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find(expected), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(Arguments, EveryOption) {
  const Arguments a = parse_arguments({"-i", "in", "--output=out", "--bundle", "b", "--profile=p", "--precision",
                                       "auto", "--device", "GPU", "--threads=4", "--max-bytes=5000000000", "--csv",
                                       "t.csv", "--cache-dir", "none", "--overwrite", "-q", "--times"});
  EXPECT_EQ(a.input, "in");
  EXPECT_EQ(a.output, "out");
  EXPECT_EQ(a.bundle, "b");
  EXPECT_EQ(a.profile, "p");
  EXPECT_EQ(a.precision, "auto");
  EXPECT_EQ(a.device, "GPU");
  EXPECT_EQ(a.threads, 4);
  EXPECT_EQ(a.max_bytes, 5000000000U);
  EXPECT_EQ(a.csv, "t.csv");
  EXPECT_EQ(a.cache_dir, "none");
  EXPECT_TRUE(a.overwrite && a.quiet && a.times);
  EXPECT_FALSE(a.help || a.version);
}

TEST(Arguments, AValueIsTakenAsItStands) {
  const Arguments a = parse_arguments({"-i", "-q", "-o", "--csv", "--cache-dir=a=b", "--threads", "010", "-i", "[in]"});
  EXPECT_EQ(a.input, "[in]");  // the last one
  EXPECT_EQ(a.output, "--csv");
  EXPECT_EQ(a.cache_dir, "a=b");
  EXPECT_EQ(a.threads, 10);
  EXPECT_FALSE(a.quiet);
}

TEST(Arguments, Defaults) {
  const Arguments a = parse_arguments({"-i", "in", "-o", "out"});
  EXPECT_EQ(a.profile, "clinical");
  EXPECT_EQ(a.precision, "f32");
  EXPECT_EQ(a.threads, 0);
  EXPECT_FALSE(a.overwrite || a.quiet || a.times);
}

TEST(Arguments, HelpAndVersionNeedNoFolders) {
  EXPECT_TRUE(parse_arguments({"--help"}).help);
  EXPECT_TRUE(parse_arguments({"-h"}).help);
  EXPECT_TRUE(parse_arguments({"--version"}).version);
}

TEST(Arguments, RefusesWhatItDoesNotKnow) {
  expect_refused({}, "-i");
  expect_refused({"-i", "in"}, "-o");
  expect_refused({"-i", "in", "-o"}, "-o: got nothing");
  expect_refused({"-i", "in", "-o", "out", "--color"}, "--color");
  expect_refused({"-i", "in", "-o", "out", "--overwrite=yes"}, "--overwrite=yes");
  expect_refused({"-i", "in", "-o", "out", "more"}, "more");
  expect_refused({"-i=in", "-o", "out"}, "-i=in");
  expect_refused({"-i", "in", "-o", "out", "--csv="}, "--csv");
  expect_refused({"-i", "in", "-o", "out", "--csv=", "t.csv"}, "--csv: got nothing");  // of "--csv=$FILE", empty
  expect_refused({"-i", "in", "-o", "out", "-qh"}, "-qh");
  expect_refused({"-iin", "-o", "out"}, "-iin");
  expect_refused({"-i", "in", "-o", "out", "--"}, "\"--\"");
  for (const char* bad : {"two", "-1", "1.5", "99999999999", ""}) {
    expect_refused({"-i", "in", "-o", "out", "--threads", bad}, "--threads");
  }
  for (const char* bad : {"two", "-1", "0", "1.5", "4G", "99999999999999999999", ""}) {
    expect_refused({"-i", "in", "-o", "out", "--max-bytes", bad}, "--max-bytes");
  }
}

}  // namespace
}  // namespace medsam::apps
