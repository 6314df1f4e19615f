// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/memory.hpp"

#include <windows.h>

#include <cstring>
#include <limits>
#include <stdexcept>

#include "platform/wide_windows.hpp"

namespace medsam::platform {

std::uint64_t physical_memory() {
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return ::GlobalMemoryStatusEx(&status) != 0 ? status.ullTotalPhys : 0;
}

bool has_control_groups() { return false; }

// A job may limit what its processes commit, which is the nearest that Windows has.
std::uint64_t address_space_limit() {
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
  constexpr DWORD kMemory = JOB_OBJECT_LIMIT_PROCESS_MEMORY;
  const bool known =
      ::QueryInformationJobObject(nullptr, JobObjectExtendedLimitInformation, &limits, sizeof limits, nullptr) != 0;
  const bool limited = known && (limits.BasicLimitInformation.LimitFlags & kMemory) != 0;
  return limited ? limits.ProcessMemoryLimit : std::numeric_limits<std::uint64_t>::max();
}

MappedFile::MappedFile(const File& file, std::size_t size) : size_(size) {
  if (size > 0) {
    const HANDLE of = reinterpret_cast<HANDLE>(file.handle());
    if (const HANDLE mapping = ::CreateFileMappingW(of, nullptr, PAGE_READONLY, 0, 0, nullptr); mapping != nullptr) {
      data_ = static_cast<char*>(::MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, size));
      ::CloseHandle(mapping);  // the view keeps it
    }
  }
  if (data_ == nullptr) throw std::runtime_error("cannot map a file of " + std::to_string(size) + " bytes");
}

MappedFile::~MappedFile() { ::UnmapViewOfFile(data_); }

// Of pages that are not locked, which fails, it takes them out of the working set ("VirtualUnlock function", remarks).
void MappedFile::release_pages() const { ::VirtualUnlock(data_, size_); }

std::error_code SealedMemory::open(std::size_t size) {
  size_ = size;
  data_ = static_cast<char*>(::VirtualAlloc(nullptr, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE));
  return data_ != nullptr ? std::error_code() : system_error();
}

std::error_code SealedMemory::append(const char* data, std::size_t size) {
  std::memcpy(data_ + written_, data, size);
  written_ += size;
  return {};
}

std::error_code SealedMemory::seal() {
  DWORD before = 0;
  if (::VirtualProtect(data_, size_, PAGE_READONLY, &before) == 0) return system_error();
  sealed_ = true;
  return {};
}

std::string SealedMemory::path() const { return ""; }

void SealedMemory::clear() noexcept {
  if (data_ != nullptr) ::VirtualFree(data_, 0, MEM_RELEASE);
  data_ = nullptr;
}

}  // namespace medsam::platform
