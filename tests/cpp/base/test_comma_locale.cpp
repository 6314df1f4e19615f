// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Numbers in text do not follow the host's locale.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/number_text.hpp"
#include "bundle/bundle.hpp"
#include "bundle/profile.hpp"
#include "image/geometry.hpp"
#include "medsam/error.hpp"
#include "npz/times_file.hpp"
#include "platform/numeric_locale.hpp"
#include "support/comma_locale.hpp"
#include "support/tiny_bundle.hpp"
#include "volume/propagation.hpp"

namespace medsam {
namespace {

class CommaLocaleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::CommaLocale::active()) GTEST_SKIP() << "this C library reads no LC_NUMERIC of glibc's form";
  }
  testing::CommaLocale locale_;
};

template <class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(CommaLocaleTest, NumbersHaveAPoint) {
  EXPECT_EQ(number_text(0.5), "0.5");
  EXPECT_EQ(number_text(1234567.25), "1234567.25");
  EXPECT_EQ(number_text(-1e300), "-1e+300");
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(fixed_text(1234.5, 6), "1234.500000");
  EXPECT_EQ(fixed_text(std::numeric_limits<double>::max(), 6).size(), 309u + 7u);
}

TEST_F(CommaLocaleTest, TheGuardIsOfItsScope) {
  const auto half = [] {
    char text[8];
    std::snprintf(text, sizeof text, "%.1f", 0.5);
    return std::string(text);
  };
  {
    const platform::NumericLocale guard;
    EXPECT_EQ(half(), "0.5");
    {
      const platform::NumericLocale inner;
      EXPECT_EQ(half(), "0.5");
    }
    EXPECT_EQ(half(), "0.5");
  }
  EXPECT_EQ(half(), "0,5");
}

TEST_F(CommaLocaleTest, MessagesHaveAPoint) {
  EXPECT_NE(message([] {
              checked_box({0.5, 1, 1234.5, 2}, 10, 20, 0);
            }).find("(0.5, 1, 1234.5, 2)"),
            std::string::npos);
  EXPECT_NE(message([] {
              checked_box3d({0, 0, 0.25, 1, 1, 2}, 10, 20, 20, 0);
            }).find("(0, 0, 0.25, 1, 1, 2)"),
            std::string::npos);
}

TEST_F(CommaLocaleTest, TheTableOfTimesIsCsv) {
  const testing::TemporaryFolder folder;
  {
    npz::TimesFile times(folder.path("t.csv"));
    CaseReport report;
    report.name = "a.npz";
    report.objects = 12345;
    report.read_s = 0.25;
    report.segment_s = 1234.5;
    times.add(report);
  }
  std::stringstream content;
  content << std::ifstream(folder.path("t.csv")).rdbuf();
  EXPECT_NE(content.str().find("\na.npz,done,12345,0,0.250000,1234.500000,0.000000,1234.750000,0,\n"),
            std::string::npos)
      << content.str();
}

TEST_F(CommaLocaleTest, AManifestAndAProfileAreReadAsInC) {
  EXPECT_EQ(builtin_profile("litemedsam").image->min_range, 1e-8);
  const testing::TemporaryFolder folder;
  EXPECT_EQ(read_bundle(testing::write_tiny_bundle(folder.path("b"))).prompt.point_shift, 0.5);
}

}  // namespace
}  // namespace medsam
