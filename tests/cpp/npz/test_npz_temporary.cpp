// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whose temporaries are removed: told by locks, in two processes that may have one number (containers), or by age.
#include "npz/output_file.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "base/whole_file.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

#ifndef _WIN32
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace medsam::npz {
namespace {

namespace fs = std::filesystem;
using medsam::testing::TemporaryFolder;
using medsam::testing::write_file;

#ifndef _WIN32

/// A process that has begun to write and waits, until it is told to go on or is killed.
class Writer {
 public:
  explicit Writer(const std::string& folder) {
    int ready[2], go[2];
    if (::pipe(ready) != 0 || ::pipe(go) != 0) throw std::runtime_error("pipe");
    child_ = ::fork();
    if (child_ == 0) {
      ::close(go[1]);
      try {
        WholeFile file(fs::path(folder) / "a.npz", FileUse::output);
        char byte = 'y';
        if (::write(ready[1], &byte, 1) != 1 || ::read(go[0], &byte, 1) != 1) ::_exit(1);
        file.commit();
      } catch (const std::system_error&) {
        ::_exit(2);
      }
      ::_exit(0);
    }
    ::close(ready[1]);
    ::close(go[0]);
    char byte = 0;
    begun_ = ::read(ready[0], &byte, 1) == 1 && byte == 'y';
    ::close(ready[0]);
    go_ = go[1];
  }
  ~Writer() {
    if (child_ > 0) kill();
    ::close(go_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[nodiscard]] bool begun() const { return begun_; }
  int finish() {
    if (::write(go_, "g", 1) != 1) return -1;
    return end();
  }
  void kill() {
    ::kill(child_, SIGKILL);
    end();
  }

 private:
  int end() {
    int status = 0;
    ::waitpid(std::exchange(child_, 0), &status, 0);
    return status;
  }

  ::pid_t child_ = 0;
  int go_ = -1;
  bool begun_ = false;
};

#endif

std::set<std::string> names(const TemporaryFolder& folder) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder.path())) found.insert(entry.path().filename().string());
  return found;
}

void set_age(const std::string& path, std::chrono::seconds age) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - age);
}

#ifndef _WIN32

TEST(Temporary, ALiveWritersIsLeftAndAKilledOnesIsRemoved) {
  const TemporaryFolder folder;
  for (const Abandoned rule : {Abandoned::by_lock, Abandoned::by_age, Abandoned::by_disk}) {
    Writer writer(folder.path());
    ASSERT_TRUE(writer.begun());
    remove_abandoned_temporaries(folder.path(), rule);
    EXPECT_EQ(names(folder).size(), 1u);
    EXPECT_EQ(writer.finish(), 0);
    EXPECT_EQ(names(folder), std::set<std::string>{"a.npz"});
    fs::remove(folder.path("a.npz"));
  }
  Writer writer(folder.path());
  ASSERT_TRUE(writer.begun());
  writer.kill();
  EXPECT_EQ(names(folder).size(), 1u);
  remove_abandoned_temporaries(folder.path(), Abandoned::by_age);
  EXPECT_EQ(names(folder).size(), 1u) << "too young to be judged without locks";
  remove_abandoned_temporaries(folder.path(), Abandoned::by_lock);
  EXPECT_TRUE(names(folder).empty());
}

TEST(Temporary, ByAgeALiveWritersOldOneStays) {
  const TemporaryFolder folder;
  Writer writer(folder.path());
  const std::string name = *names(folder).begin();
  set_age(folder.path(name), std::chrono::hours(9));
  remove_abandoned_temporaries(folder.path(), Abandoned::by_age);
  EXPECT_EQ(names(folder).size(), 1u);
  writer.kill();
  remove_abandoned_temporaries(folder.path(), Abandoned::by_age);
  EXPECT_TRUE(names(folder).empty());
}

#endif

TEST(Temporary, OnlyOursAndOnlyAbandonedOnesGo) {
  const TemporaryFolder folder;
  const std::string older = ".a.npz.4711-0@host.tmp";  // of a version without locks: by age on every disk
  const std::vector<std::string> kept = {"a.medsam-tmp", ".b.tmp", "2DBox_a.npz", ".2DBox_a.npz", older};
  for (const std::string& name : kept) write_file(folder.path(name), "x");
  fs::create_directory(folder.path(".folder.medsam-tmp"));
  EXPECT_EQ(medsam::testing::make_fifo(folder.path(".pipe.medsam-tmp")), medsam::testing::kPosix);
  static_cast<void>(medsam::testing::make_link("2DBox_a.npz", folder.path(".link.medsam-tmp")));
  const std::set<std::string> before = names(folder);
  write_file(folder.path(".a.npz.0123.medsam-tmp"), "x");
  remove_abandoned_temporaries(folder.path(), Abandoned::by_lock);
  EXPECT_EQ(names(folder), before);
  set_age(folder.path(older), std::chrono::hours(5));
  remove_abandoned_temporaries(folder.path(), Abandoned::by_lock);
  EXPECT_EQ(names(folder), before);
  set_age(folder.path(older), std::chrono::hours(7));
  remove_abandoned_temporaries(folder.path(), Abandoned::by_lock);
  EXPECT_EQ(names(folder).count(older), 0u);
}

TEST(Temporary, NamesAreOfNobodyElseAndFitTheFileSystem) {
  const TemporaryFolder folder;
  const fs::path target = folder.path(std::string(251, 'n') + ".npz");
  write_file_atomically(target.string(), {"one", "two"});
  EXPECT_EQ(fs::file_size(target), 6u);
  EXPECT_EQ(names(folder).size(), 1u);
  const WholeFile one(target.string(), FileUse::output), two(target.string(), FileUse::output);
  EXPECT_NE(one.path(), two.path());
}

#ifndef _WIN32  // where there is no umask
TEST(OutputFile, ANewFileHasTheModeOfTheUmaskAndAReplacedOneKeepsItsOwn) {
  const TemporaryFolder folder;
  const auto mode = [](const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return static_cast<unsigned>(status.st_mode & 0777);
  };
  for (const ::mode_t mask : {::mode_t{022}, ::mode_t{027}}) {
    const ::mode_t before = ::umask(mask);
    const fs::path target = folder.path("2DBox_" + std::to_string(mask) + ".npz");
    write_file_atomically(target.string(), {"one"});
    EXPECT_EQ(mode(target), 0666U & ~mask);
    for (const ::mode_t own : {::mode_t{0600}, ::mode_t{0664}}) {
      ASSERT_EQ(::chmod(target.c_str(), own), 0);
      write_file_atomically(target.string(), {"two"});
      EXPECT_EQ(mode(target), own);
    }
    ::umask(before);
  }
}
#endif

}  // namespace
}  // namespace medsam::npz
