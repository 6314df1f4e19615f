// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The folder runner where the host or the folder plays tricks: names that are more than names, and a fork.
#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "npz/segs_file.hpp"
#include "platform/folder.hpp"
#include "platform/path.hpp"
#include "support/folder_test.hpp"
#include "support/system.hpp"

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace medsam {
namespace {

namespace fs = std::filesystem;

TEST_F(FolderTest, NamesInTheTableAreNoFormulasAndNoLinesOfTheirOwn) {
  if (!testing::kPosix) GTEST_SKIP() << "a name has no control characters there";
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

// Of no code page, and beyond the 260 units that Windows gives a path without a prefix.
TEST_F(FolderTest, NamesAreUtf8AndPathsAreLong) {
  const std::string word = "M\xc3\xbcller \xce\x94 \xe7\x97\x85 \xf0\x9f\xa7\xa0";
  std::string folder = folder_.path(word);
  while (folder.size() < 400) folder += "/" + word + std::string(60, 'n');
  const std::string name = "2DBox_CT_" + word + ".npz";
  add_image("a.npz", {1, 1, 20, 20});
  folder_options_.input = folder + "/in";
  folder_options_.output = folder + "/out";
  folder_options_.csv = folder + "/" + word + ".csv";
  ASSERT_FALSE(platform::make_folders(folder_options_.input));
  testing::write_file(folder_options_.input + "/" + name, content(folder_.path("in/a.npz")));
  bundle_ = testing::write_tiny_bundle(folder_.path(word + "/bundle"));
  options_.cache_dir = folder_.path(word + "/cache");
  const FolderReport report = run();
  ASSERT_EQ(report.done, 1) << report.cases.at(0).message;
  EXPECT_EQ(report.cases[0].name, name);
  EXPECT_TRUE(npz::is_segs_file(folder_options_.output + "/" + name));
  EXPECT_EQ(run().skipped, 1) << "the answer is found again";
  EXPECT_TRUE(fs::exists(platform::disk_path(folder_options_.csv)));
  EXPECT_FALSE(fs::is_empty(platform::disk_path(options_.cache_dir)));
}

TEST_F(FolderTest, AnErrorShowsAnEntrysNameInOneLine) {
  if (!testing::kPosix) GTEST_SKIP() << "a name has no control characters there";
  testing::ZipMaker zip;
  zip.add("im\ngs\x1b[2J\xff.npy", "x");
  add_case("2DBox_a\x1b.npz", zip.bytes());
  const FolderReport report = run();
  ASSERT_EQ(report.cases.size(), 1U);
  EXPECT_NE(report.cases[0].message.find("im\\ngs\\x1b[2J\\xff.npy"), std::string::npos) << report.cases[0].message;
}

#ifndef _WIN32

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

#endif  // POSIX

}  // namespace
}  // namespace medsam
