// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The folder runner where the host or the folder plays tricks: names that are more than names, and a fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/folder_test.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;

TEST_F(FolderTest, NamesInTheTableAreNoFormulasAndNoLinesOfTheirOwn) {
  const std::string hostile = "2DBox_a\n\x1b]0;t\x07,b.npz";
  for (const char* name : {"=HYPERLINK(1).npz", "+1.npz", "-1.npz", "@SUM(1).npz"}) add_case(name, "broken");
  add_image(hostile, {1, 1, 20, 20});
  folder_options_.csv = folder_.path("times.csv");
  const FolderReport report = run();
  EXPECT_EQ(report.done, 1);
  EXPECT_TRUE(fs::exists(answer(hostile))) << "the file's name stays what it is";
  const std::string table = csv();
  for (const char* cell : {"\n'=HYPERLINK(1).npz,", "\n'+1.npz,", "\n'-1.npz,", "\n'@SUM(1).npz,",
                           "\n\"2DBox_a\\n\\x1b]0;t\\x07,b.npz\",done"}) {
    EXPECT_NE(table.find(cell), std::string::npos) << cell << " in " << table;
  }
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 6);
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
}

TEST_F(FolderTest, AnErrorShowsAnEntrysNameInOneLine) {
  testing::ZipMaker zip;
  zip.add("im\ngs\x1b[2J\xff.npy", "x");
  add_case("2DBox_a\x1b.npz", zip.bytes());
  const FolderReport report = run();
  ASSERT_EQ(report.cases.size(), 1U);
  EXPECT_NE(report.cases[0].message.find("im\\ngs\\x1b[2J\\xff.npy"), std::string::npos) << report.cases[0].message;
}

// The child of a fork; the signal that it ends by says whether all of it was refused. `_exit` under ThreadSanitizer
// calls the parent's reading thread a leak of the child, if that thread had ended before the fork.
bool refused_in_a_child(const std::vector<std::function<void()>>& acts) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto refused = [](const std::function<void()>& act) {
      try {
        act();
      } catch (const Unsupported& e) {
        return std::string(e.what()).find("fork") != std::string::npos;
      }
      return false;
    };
    ::kill(::getpid(), std::all_of(acts.begin(), acts.end(), refused) ? SIGKILL : SIGTERM);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST_F(FolderTest, AForkedChildGetsAClearErrorAndDoesNotHang) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  const Engine engine(bundle_, options_);
  auto inherited = std::make_unique<FolderRun>(folder_options_);
  EXPECT_TRUE(refused_in_a_child({[&] { inherited->run(engine); }, [&] { inherited->run(); },
                                  [&] {
                                    inherited.reset();  // does not hang
                                    throw Unsupported("fork");
                                  }}));
  EXPECT_EQ(inherited->run(engine).done, 1);
}

#ifndef __SANITIZE_THREAD__  // a run of its own starts a thread, which ThreadSanitizer does not support after fork
// While no thread of the parent may hold a lock of AddressSanitizer's allocator, which GCC 12's does not free in the
// child.
TEST_F(FolderTest, AForkedChildsOwnRunIsRefused) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  const Engine engine(bundle_, options_);
  EXPECT_TRUE(refused_in_a_child({[&] { run_folder(engine, folder_options_); }}));
}
#endif

}  // namespace
}  // namespace medsam
