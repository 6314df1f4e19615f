// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// MEDSAM_ENGINE_SIMD is read once a process, so each case runs the small program active_target.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/pixels/pixel_kernels.hpp"

#ifndef _WIN32
#include <sys/wait.h>
#endif

namespace medsam::kernels {
namespace {

struct Outcome {
  int exit_code;
  std::string output;
};

Outcome run_active_target(const std::string& environment) {
#ifdef _WIN32  // whose shell has no such word: the variable is this process's own, which does not read it again
  ::_putenv_s("MEDSAM_ENGINE_SIMD", environment.substr(environment.find('=') + 1).c_str());
  FILE* pipe = ::_popen("\"" MEDSAM_ACTIVE_TARGET "\"", "r");
#else
  const std::string command = "env -u MEDSAM_ENGINE_SIMD " + environment + " '" MEDSAM_ACTIVE_TARGET "'";
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(bugprone-command-processor): the text is our own
#endif
  EXPECT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 256> chunk{};
  while (std::fgets(chunk.data(), chunk.size(), pipe) != nullptr) output += chunk.data();
#ifdef _WIN32
  return {::_pclose(pipe), output};
#else
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
#endif
}

TEST(Dispatch, BestTargetUnlessForced) {
  const Outcome outcome = run_active_target("");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, available_tables().back()->name);
}

TEST(Dispatch, EveryAvailableTargetCanBeForced) {
  for (const KernelTable* table : available_tables()) {
    const Outcome outcome = run_active_target(std::string("MEDSAM_ENGINE_SIMD=") + table->name);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.output, table->name);
  }
}

TEST(Dispatch, UnknownTargetIsAnErrorThatNamesTheAvailableOnes) {
  const Outcome outcome = run_active_target("MEDSAM_ENGINE_SIMD=AVX99");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.output.find("AVX99"), std::string::npos);
  for (const KernelTable* table : available_tables()) {
    EXPECT_NE(outcome.output.find(table->name), std::string::npos) << outcome.output;
  }
}

TEST(Dispatch, ScalarComesFirst) { EXPECT_EQ(available_tables().front(), &reference_table()); }

}  // namespace
}  // namespace medsam::kernels
