// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The folder runner where the host or the folder plays tricks: names that are more than names, and a fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <string>

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

// What a child process does with what it inherited; the signal that it ends by says whether all of it was refused.
TEST_F(FolderTest, AForkedChildGetsAClearErrorAndDoesNotHang) {
  add_image("2DBox_a.npz", {1, 1, 20, 20});
  const Engine engine(bundle_, options_);
  auto inherited = std::make_unique<FolderRun>(folder_options_);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto refused = [](const std::function<void()>& act) {
      try {
        act();
      } catch (const Unsupported& e) {
        return std::string(e.what()).find("fork") != std::string::npos;
      }
      return false;
    };
    const bool both = refused([&] { inherited->run(engine); }) && refused([&] { inherited->run(); });
    inherited.reset();
#ifdef __SANITIZE_THREAD__
    const bool own = true;  // a run of its own starts a thread, which ThreadSanitizer does not support after fork
#else
    const bool own = refused([&] { run_folder(engine, folder_options_); });
#endif
    // By a signal: `_exit` under ThreadSanitizer calls the parent's reading thread a leak of the child, if that thread
    // had ended before the fork.
    ::kill(::getpid(), both && own ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(inherited->run(engine).done, 1);
}

}  // namespace
}  // namespace medsam
