// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Memory and cores on every system.
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "platform/cores.hpp"
#include "platform/memory.hpp"
#include "platform/new_folder.hpp"

namespace medsam::platform {
namespace {

TEST(Memory, ThereIsSome) {
  EXPECT_GT(physical_memory(), std::uint64_t{1} << 26);
  EXPECT_GT(address_space_limit(), std::uint64_t{1} << 26);
}

TEST(Memory, AMappedFileIsItsBytes) {
  const NewFolder folder;
  const std::string content(100000, 'x');
  std::error_code error;
  File file = open_file(folder.path("a"), Opening::create_own, error);
  EXPECT_FALSE(write_all(file, content.data(), content.size()));
  file = open_file(folder.path("a"), Opening::read_no_link, error);
  const MappedFile mapped(file, content.size());
  file.close();
  EXPECT_EQ(std::string(mapped.data(), mapped.size()), content);
  mapped.release_pages();
  EXPECT_EQ(std::string(mapped.data(), mapped.size()), content) << "they come back from the file";
  EXPECT_THROW(MappedFile(File(), 10), std::runtime_error);
  EXPECT_THROW(MappedFile(open_file(folder.path("a"), Opening::read, error), 0), std::runtime_error);
}

TEST(Memory, SealedBytesAreThoseThatWereAppended) {
  SealedMemory memory;
  ASSERT_FALSE(memory.open(10));
  EXPECT_FALSE(memory.append("0123", 4));
  EXPECT_EQ(memory.data(), nullptr) << "not before they are sealed";
  EXPECT_FALSE(memory.append("456789", 6));
  ASSERT_FALSE(memory.seal());
  EXPECT_EQ(std::string(memory.data(), memory.size()), "0123456789");
  if (!memory.path().empty()) {
    std::ifstream file(memory.path(), std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "0123456789");
  }
  memory.clear();
  EXPECT_EQ(memory.data(), nullptr);
}

TEST(Cores, AThreadStaysWhereItIsKept) {
  const Cores allowed = allowed_cores();
  if (allowed.none()) GTEST_SKIP() << "this system does not say which cores there are";
  const int here = current_core();
  ASSERT_GE(here, 0);
  EXPECT_TRUE(allowed[static_cast<std::size_t>(here)]);
  std::size_t last = kMostCores - 1;
  while (!allowed[last]) --last;
  Cores one;
  one.set(last);
  std::mutex mutex;
  mutex.lock();
  int ran_on = -1;
  Cores told;
  std::thread thread([&] {
    const std::lock_guard lock(mutex);  // until it has been told where to run
    ran_on = current_core();
    told = allowed_cores();
  });
  keep_on(thread, one);
  mutex.unlock();
  thread.join();
  EXPECT_EQ(ran_on, static_cast<int>(last));
#ifndef _WIN32  // which says what the process may run on, not the thread
  EXPECT_EQ(told, one);
#endif
}

}  // namespace
}  // namespace medsam::platform
