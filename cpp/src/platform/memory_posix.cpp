// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace medsam::platform {

namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

}  // namespace

std::uint64_t physical_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0;
}

bool has_control_groups() {
#ifdef __linux__
  return true;
#else
  return false;
#endif
}

std::uint64_t address_space_limit() {
  struct rlimit space = {};
  const bool limited = ::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY;
  return limited ? static_cast<std::uint64_t>(space.rlim_cur) : std::numeric_limits<std::uint64_t>::max();
}

MappedFile::MappedFile(const File& file, std::size_t size) : size_(size) {
  void* mapped = MAP_FAILED;
  if (size > 0) mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, static_cast<int>(file.handle()), 0);
  if (mapped == MAP_FAILED) throw std::runtime_error("cannot map a file of " + std::to_string(size) + " bytes");
  data_ = static_cast<char*>(mapped);
}

MappedFile::~MappedFile() { ::munmap(data_, size_); }

void MappedFile::release_pages() const { ::madvise(data_, size_, MADV_DONTNEED); }

#ifdef __linux__

// A memory file: what open(2) finds under path() as well, which runtimes that open files need.
std::error_code SealedMemory::open(std::size_t size) {
  size_ = size;
  file_ = File(::memfd_create("medsam-model", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return file_ ? std::error_code() : last_error();
}

std::error_code SealedMemory::append(const char* data, std::size_t size) { return write_all(file_, data, size); }

std::error_code SealedMemory::seal() {
  const int number = static_cast<int>(file_.handle());
  if (::fcntl(number, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) return last_error();
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, number, 0);
  if (mapped == MAP_FAILED) return last_error();
  data_ = static_cast<char*>(mapped);
  sealed_ = true;
  return {};
}

std::string SealedMemory::path() const { return "/proc/self/fd/" + std::to_string(file_.handle()); }

#else

std::error_code SealedMemory::open(std::size_t size) {
  size_ = size;
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (mapped == MAP_FAILED) return last_error();
  data_ = static_cast<char*>(mapped);
  return {};
}

std::error_code SealedMemory::append(const char* data, std::size_t size) {
  std::memcpy(data_ + written_, data, size);
  written_ += size;
  return {};
}

std::error_code SealedMemory::seal() {
  if (::mprotect(data_, size_, PROT_READ) != 0) return last_error();
  sealed_ = true;
  return {};
}

std::string SealedMemory::path() const { return ""; }

#endif

void SealedMemory::clear() noexcept {
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = nullptr;
  file_.close();
}

}  // namespace medsam::platform
