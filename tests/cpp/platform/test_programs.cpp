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
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "platform/library.hpp"
#include "platform/path.hpp"
#include "platform/process.hpp"
#include "platform/random.hpp"

namespace medsam::platform {
namespace {

constexpr const char *kSay = "--say", *kCrash = "--crash", *kMuch = "--much";
constexpr int kMuchLines = 400'000;  // of 8 bytes: 3 MiB, more than is kept

// What this program does when it is started with one of the words above.
int act(int count, char** words) {
  if (std::string(words[1]) == kCrash) {
#ifdef _WIN32
    ::RaiseException(0xC0000094, 0, 0, nullptr);
#else
    static_cast<void>(std::raise(SIGKILL));
#endif
  }
  if (std::string(words[1]) == kMuch) {
    for (int i = 0; i < kMuchLines; ++i) std::printf("%07d\n", i);
    return 0;
  }
  for (int i = 2; i < count; ++i) std::printf("[%s]\n", words[i]);
  std::printf("variable %s\n", environment("MEDSAM_ENGINE_TEST_APART").c_str());
  std::fputs("nobody reads this\n", stderr);
  std::printf("input %s\n", std::getchar() == EOF ? "empty" : "there");
  return 3;
}

void set_environment(const char* name, const char* value) {
#ifdef _WIN32
  ::_putenv_s(name, value);
#else
  ::setenv(name, value, 1);
#endif
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
  set_environment("MEDSAM_ENGINE_TEST_APART", "no");
  Outcome outcome;
  const Program program = {own_program(),
                           {kSay, "plain", "", "two words", "quo\"ted\" \\\"", "back\\slash\\", "$HOME %PATH% *"},
                           "MEDSAM_ENGINE_TEST_APART=yes"};
  const std::error_code error = run_apart(program, outcome);
  ASSERT_FALSE(error) << error.message();
  EXPECT_EQ(
      without_cr(outcome.output),
      "[plain]\n[]\n[two words]\n[quo\"ted\" \\\"]\n[back\\slash\\]\n[$HOME %PATH% *]\nvariable yes\ninput empty\n");
  EXPECT_EQ(outcome.crash, "");
  EXPECT_EQ(environment("MEDSAM_ENGINE_TEST_APART"), "no") << "its environment, not this one's";
}

TEST(Programs, TheLastOfMuchOutputIsKept) {
  Outcome outcome;
  ASSERT_FALSE(run_apart({own_program(), {kMuch}, "MEDSAM_ENGINE_TEST_APART=yes"}, outcome));
  const std::string text = without_cr(outcome.output);
  EXPECT_LE(outcome.output.size(), std::size_t{1} << 20);
  ASSERT_GT(text.size(), std::size_t{1} << 18);
  const std::string expected = "0399998\n0399999\n";
  EXPECT_EQ(text.substr(text.size() - expected.size()), expected);
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
  constexpr std::size_t kPart = 200;
  std::array<unsigned char, 5 * kPart> one{}, two{};
  ASSERT_TRUE(random_bytes(one.data(), one.size()));
  ASSERT_TRUE(random_bytes(two.data(), two.size()));
  std::set<std::string> parts;
  for (const auto* bytes : {&one, &two}) {
    for (std::size_t i = 0; i < bytes->size(); i += kPart) {
      parts.emplace(bytes->begin() + static_cast<std::ptrdiff_t>(i),
                    bytes->begin() + static_cast<std::ptrdiff_t>(i + kPart));
    }
  }
  EXPECT_EQ(parts.size(), 10U);
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
