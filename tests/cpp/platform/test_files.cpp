// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Files and folders on every system.
#include <gtest/gtest.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <sys/resource.h>

#include <csignal>
#endif

#include <string>

#include "platform/file.hpp"
#include "platform/folder.hpp"
#include "platform/new_folder.hpp"
#include "platform/path.hpp"

namespace medsam::platform {
namespace {

namespace fs = std::filesystem;

// Wine 8 does not replace a file that is open, as Windows does (FILE_RENAME_FLAG_POSIX_SEMANTICS).
bool replaces_open_files() {
#ifdef _WIN32
  return ::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == nullptr;
#else
  return true;
#endif
}

File open(const std::string& path, Opening how) {
  std::error_code error;
  File file = open_file(path, how, error);
  EXPECT_EQ(static_cast<bool>(file), !error) << error.message();
  return file;
}

void write(const std::string& path, const std::string& text) {
  const File file = open(path, Opening::write_anew);
  EXPECT_FALSE(write_all(file, text.data(), text.size()));
}

std::string content(const File& file) {
  std::string text(100, '?');
  std::error_code error;
  text.resize(read_at(file, text.data(), text.size(), 0, error));
  EXPECT_FALSE(error) << error.message();
  return text;
}

std::string content(const std::string& path) { return content(open(path, Opening::read)); }

TEST(Files, AreWrittenAndReadAtAnyOffset) {
  const NewFolder folder;
  write(folder.path("a"), "long before");
  write(folder.path("a"), "0123456789");
  const File file = open(folder.path("a"), Opening::read);
  std::string out(4, ' ');
  std::error_code error;
  EXPECT_EQ(read_at(file, out.data(), 4, 3, error), 4U);
  EXPECT_EQ(out, "3456");
  EXPECT_EQ(read_at(file, out.data(), 4, 8, error), 2U) << "as far as the file goes";
  EXPECT_EQ(out, "8956");
  EXPECT_EQ(read_at(file, out.data(), 4, 10, error), 0U);
  EXPECT_FALSE(error) << error.message();
  const FileStatus status = status_of(file, error);
  EXPECT_TRUE(status.regular);
  EXPECT_EQ(status.size, 10U);
  EXPECT_EQ(status.names, 1U);
  EXPECT_GT(status.modified, 1700000000) << "seconds since 1970";
}

TEST(Files, OfThisUser) {
  const NewFolder folder;
  std::error_code error;
  EXPECT_EQ(foreign_owner(open_file(folder.path("own"), Opening::create_own, error)), "");
}

TEST(Files, WhatIsThereIsNotCreatedAgain) {
  const NewFolder folder;
  for (const Opening how : {Opening::create, Opening::create_own}) {
    std::error_code error;
    const std::string path = folder.path(how == Opening::create ? "a" : "b");
    {
      const File made = open_file(path, how, error);
      ASSERT_TRUE(made) << error.message();
      EXPECT_FALSE(write_all(made, "first", 5));
    }
    EXPECT_FALSE(open_file(path, how, error));
    EXPECT_EQ(error, std::errc::file_exists);
    EXPECT_EQ(content(path), "first");
  }
  std::error_code error;
  EXPECT_FALSE(open_file(folder.path("absent"), Opening::read, error));
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
}

TEST(Files, AnOpenFileTakesTheNameOfAnother) {
  const NewFolder folder;
  write(folder.path("target"), "old");
  File reader = open(folder.path("target"), Opening::read);
  if (!replaces_open_files()) reader.close();
  File writer = open(folder.path("temporary"), Opening::create);
  EXPECT_FALSE(write_all(writer, "new", 3));
  EXPECT_FALSE(flush(writer));
  EXPECT_FALSE(check_close(writer));
  const std::error_code error = rename_over(folder.path("temporary"), folder.path("target"));
  EXPECT_FALSE(error) << error.message();
  EXPECT_EQ(content(folder.path("target")), "new");
  if (reader) {
    EXPECT_EQ(content(reader), "old") << "what has it open keeps it";
  }
  EXPECT_FALSE(id_of(folder.path("temporary")));
  if (!replaces_open_files()) writer.close();  // a name that is open goes when it is closed
  EXPECT_FALSE(remove_file(folder.path("target")));
  EXPECT_FALSE(id_of(folder.path("target")));
}

TEST(Files, ALockIsHeldUntilTheFileIsClosed) {
  const NewFolder folder;
  write(folder.path("a"), "content");
  File first = open(folder.path("a"), Opening::change_no_link);
  const File second = open(folder.path("a"), Opening::change_no_link);
  EXPECT_EQ(try_lock(first), Lock::taken);
  EXPECT_EQ(try_lock(second), Lock::elsewhere);
  EXPECT_EQ(content(second), "content") << "a lock keeps nobody from reading";
  first.close();
  EXPECT_EQ(try_lock(second), Lock::taken);
}

TEST(Files, AStampTellsOfWhatWasWritten) {
  const NewFolder folder;
  write(folder.path("a"), "one");
  const File file = open(folder.path("a"), Opening::read);
  const std::string before = change_stamp(file);
  EXPECT_NE(before, "");
  EXPECT_EQ(change_stamp(file), before);
  write(folder.path("a"), "longer");
  EXPECT_NE(change_stamp(file), before);
  write(folder.path("b"), "longer");
  EXPECT_NE(change_stamp(open(folder.path("b"), Opening::read)), change_stamp(file)) << "another file";
}

TEST(Files, NamesOfOneFileHaveOneIdentity) {
  const NewFolder folder;
  write(folder.path("a"), "content");
  std::error_code error;
  fs::create_hard_link(path_of(folder.path("a")), path_of(folder.path("b")), error);
  if (error) GTEST_SKIP() << "no hard links here: " << error.message();
  write(folder.path("c"), "content");
  ASSERT_TRUE(id_of(folder.path("a")));
  EXPECT_EQ(id_of(folder.path("a")), id_of(folder.path("b")));
  EXPECT_NE(id_of(folder.path("a")), id_of(folder.path("c")));
  EXPECT_EQ(status_of(open(folder.path("a"), Opening::read), error).names, 2U);
}

TEST(Files, ALinkIsNotFollowedUnasked) {
  const NewFolder folder;
  write(folder.path("a"), "content");
  std::error_code error;
  fs::create_symlink(path_of(folder.path("a")), path_of(folder.path("link")), error);
  if (error) GTEST_SKIP() << "no links may be made here: " << error.message();
  if (!fs::is_symlink(path_of(folder.path("link")), error)) GTEST_SKIP() << "no link was made, as under wine 8";
  EXPECT_EQ(content(folder.path("link")), "content");
  for (const Opening how : {Opening::read_no_link, Opening::change_no_link}) {
    EXPECT_FALSE(open_file(folder.path("link"), how, error));
    EXPECT_EQ(error, std::errc::too_many_symbolic_link_levels) << error.message();
    EXPECT_TRUE(open_file(folder.path("a"), how, error));
  }
}

TEST(Files, ANamedFileIsTheSameWhateverItsNameStandsForLater) {
  const NewFolder folder;
  write(folder.path("a"), "old");
  std::error_code error;
  const File named = name_file(folder.path("a"), error);
  ASSERT_TRUE(named) << error.message();
  const fs::path real = path_of(real_path(named, error));
  EXPECT_FALSE(error) << error.message();
  EXPECT_EQ(real, fs::canonical(path_of(folder.path("a"))));
  write(folder.path("b"), "new");
  if (replaces_open_files()) {
    EXPECT_FALSE(rename_over(folder.path("b"), folder.path("a")));
    EXPECT_EQ(content(folder.path("a")), "new");
  }
  const File file = reopen_to_read(named, error);
  ASSERT_TRUE(file) << error.message();
  EXPECT_EQ(content(file), "old");
  EXPECT_FALSE(name_file(folder.path("absent"), error));
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
}

TEST(Folders, OfThisUserAlone) {
  const NewFolder folder;
  EXPECT_EQ(fault_of_folder(folder.path("")), "");
  EXPECT_TRUE(is_usable_folder(folder.path("")));
  EXPECT_FALSE(make_own_folder(folder.path(""))) << "no error where there is one";
  EXPECT_TRUE(make_own_folder(folder.path("absent/below")));
  write(folder.path("file"), "content");
  EXPECT_EQ(fault_of_folder(folder.path("file")), "is no folder");
  EXPECT_NE(fault_of_folder(folder.path("absent")).find("cannot be read"), std::string::npos);
  EXPECT_FALSE(is_usable_folder(folder.path("absent")));
}

TEST(Folders, NamesMayBeLong) {
  const NewFolder folder;
  std::string path = folder.path("");
  for (int i = 0; i < 8; ++i) {  // beyond the 260 units of Windows
    path += "/" + std::string(60, static_cast<char>('a' + i));
    ASSERT_FALSE(make_own_folder(path)) << i;
  }
  write(path + "/file", "content");
  EXPECT_EQ(content(path + "/file"), "content");
  EXPECT_FALSE(rename_over(path + "/file", path + "/other"));
  EXPECT_TRUE(id_of(path + "/other"));
  EXPECT_TRUE(is_usable_folder(path));
  EXPECT_FALSE(remove_file(path + "/other"));
}

TEST(Folders, AreMadeWithThoseThatTheyAreIn) {
  const NewFolder folder;
  const std::string deep = in_folder(folder.path("a"), std::string(200, 'b') + "/" + std::string(200, 'c'));
  EXPECT_FALSE(make_folders(deep));
  EXPECT_FALSE(make_folders(deep)) << "there already";
  EXPECT_TRUE(is_usable_folder(deep));
  std::error_code error;
  write_all(open_file(folder.path("file"), Opening::create, error), "x", 1);
  EXPECT_TRUE(make_folders(folder.path("file")));
  EXPECT_TRUE(make_folders(folder.path("file/under")));
}

TEST(Folders, ATemporaryOneIsNew) {
  std::error_code error;
  const std::string one = make_temporary_folder(error), two = make_temporary_folder(error);
  EXPECT_NE(one, two);
  for (const std::string& made : {one, two}) {
    EXPECT_EQ(fault_of_folder(made), "");
    EXPECT_TRUE(fs::remove(path_of(made), error)) << error.message();
  }
}

TEST(Paths, AreJoinedAndTakenApart) {
  EXPECT_EQ(in_folder("a", "b"), "a/b");
  EXPECT_EQ(in_folder("a/", "b"), "a/b");
  EXPECT_EQ(in_folder("", "b"), "b");
  EXPECT_EQ(file_name("a/M\xc3\xbcller"), "M\xc3\xbcller");
  EXPECT_EQ(file_name("a/"), "");
}

TEST(Paths, OnTheDiskAreThoseOfTheNames) {
#if defined(_WIN32) && defined(__GLIBCXX__)
  GTEST_SKIP() << "mingw-w64's opendir, which GCC's library calls, has room for 260 units";
#endif
  const NewFolder folder;
  const std::string name(200, 'n');
  const std::string deep = in_folder(in_folder(folder.path("a"), name), name);
  ASSERT_FALSE(make_folders(deep));
  EXPECT_TRUE(std::filesystem::is_directory(disk_path(deep)));
  for (const auto& entry : std::filesystem::directory_iterator(disk_path(in_folder(folder.path("a"), name)))) {
    EXPECT_EQ(file_name(name_of(entry.path())), name);
    EXPECT_TRUE(is_usable_folder(name_of(entry.path())));
  }
}

TEST(Paths, ComeBackAsTheyWere) {
  const std::string name = "M\xc3\xbcller/\xe2\x82\xac/\xf0\x9f\xa7\xa0.npz";
  EXPECT_EQ(name_of(path_of(name)), name);
  EXPECT_EQ(name_of(path_of(name).filename()), "\xf0\x9f\xa7\xa0.npz");
  EXPECT_EQ(environment("MEDSAM_ENGINE_NO_SUCH_VARIABLE"), "");
  EXPECT_NE(environment("PATH"), "");
}

#ifndef _WIN32
TEST(Files, AWriteBeyondTheLimitOfAFilesSizeIsAnErrorAndNoSignal) {
  const NewFolder folder;
  std::error_code error;
  const File file = open_file(folder.path("a"), Opening::create_own, error);
  const std::string content(200, 'x');
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const ::rlimit small{100, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_DFL);  // which ends the process
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::error_code written = write_all(file, content.data(), content.size());
  const std::error_code again = write_all(file, content.data(), content.size());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(written, std::errc::file_too_large);
  EXPECT_EQ(again, std::errc::file_too_large);
  EXPECT_EQ(status_of(file, error).size, 100U);
}
#endif

}  // namespace
}  // namespace medsam::platform
