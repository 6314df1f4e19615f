// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Programs, libraries and randomness on every system. The program that is run apart is this one.
#include <gtest/gtest.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <csignal>
#endif

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "platform/library.hpp"
#include "platform/path.hpp"
#include "platform/process.hpp"

namespace medsam::platform {
namespace {

constexpr const char *kSay = "--say", *kCrash = "--crash";

// What this program does when it is started with one of the words above.
int act(int count, char** words) {
  if (std::string(words[1]) == kCrash) {
#ifdef _WIN32
    ::RaiseException(0xC0000094, 0, 0, nullptr);
#else
    static_cast<void>(std::raise(SIGKILL));
#endif
  }
  for (int i = 2; i < count; ++i) std::printf("[%s]\n", words[i]);
  std::printf("variable %s\n", environment("MEDSAM_ENGINE_TEST_APART").c_str());
  std::fputs("nobody reads this\n", stderr);
  return std::getchar() == EOF ? 3 : 4;
}

// CR: what a C library on Windows puts before LF.
std::string without_cr(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  return text;
}

std::string own_program() {
  static const int kHere = 0;
  return name_of(std::filesystem::absolute(path_of(file_of(&kHere))));
}

TEST(Programs, RunApartAndSaySomething) {
  EXPECT_TRUE(is_program(own_program()));
  Outcome outcome;
  const Program program = {own_program(),
                           {kSay, "plain", "", "two words", "quo\"ted\" \\\"", "back\\slash\\", "$HOME %PATH% *"},
                           "MEDSAM_ENGINE_TEST_APART=yes"};
  const std::error_code error = run_apart(program, outcome);
  ASSERT_FALSE(error) << error.message();
  EXPECT_EQ(without_cr(outcome.output),
            "[plain]\n[]\n[two words]\n[quo\"ted\" \\\"]\n[back\\slash\\]\n[$HOME %PATH% *]\nvariable yes\n");
  EXPECT_EQ(outcome.crash, "");
  EXPECT_EQ(environment("MEDSAM_ENGINE_TEST_APART"), "") << "its environment, not this one's";
}

TEST(Programs, ACrashIsTold) {
  Outcome outcome;
  ASSERT_FALSE(run_apart({own_program(), {kCrash}, "MEDSAM_ENGINE_TEST_APART=yes"}, outcome));
  EXPECT_EQ(outcome.output, "");
#ifdef _WIN32
  EXPECT_EQ(outcome.crash, "exception 0xC0000094");
#else
  EXPECT_EQ(outcome.crash, "signal 9");
#endif
}

TEST(Programs, OneThatIsNotThere) {
  const std::string absent = own_program() + "-absent";
  EXPECT_FALSE(is_program(absent));
  EXPECT_FALSE(is_program(name_of(path_of(own_program()).parent_path() / "absent")));
  Outcome outcome;
  EXPECT_EQ(run_apart({absent, {}, "A=1"}, outcome), std::errc::no_such_file_or_directory);
}

TEST(Libraries, OneThatIsNotThere) {
  std::string why;
  EXPECT_EQ(open_library(own_program() + "-absent", why), nullptr);
  EXPECT_NE(why, "");
  EXPECT_NE(plugin_name("medsam_engine_x").find("medsam_engine_x."), std::string::npos);
}

TEST(Process, RandomBytesDiffer) {
  std::array<unsigned char, 1000> one{}, two{};
  ASSERT_TRUE(random_bytes(one.data(), one.size()));
  ASSERT_TRUE(random_bytes(two.data(), two.size()));
  EXPECT_NE(one, two);
  EXPECT_NE(std::count(one.begin(), one.end(), one[0]), 1000);
}

TEST(Process, AMachineHasAnIdentity) {
  EXPECT_NE(machine_identity(), "");
  EXPECT_EQ(machine_identity(), machine_identity());
  EXPECT_GT(process_id(), 0);
}

}  // namespace
}  // namespace medsam::platform

int main(int count, char** words) {
  if (count > 1 && std::string(words[1]).starts_with("--") &&
      std::string(words[1]).find("gtest") == std::string::npos) {
    return medsam::platform::act(count, words);
  }
  ::testing::InitGoogleTest(&count, words);
  return RUN_ALL_TESTS();
}
