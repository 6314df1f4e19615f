// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "c_api/call.hpp"

#include <cstring>

#include "medsam/printable.hpp"

namespace medsam::c_api {

namespace {

// A fixed buffer, so that to report that memory ran out needs none.
constexpr std::size_t kMessageBytes = 2048;
thread_local char message_of_thread[kMessageBytes] = "";

}  // namespace

medsam_status fail(ErrorCode code, const char* message) noexcept {
  std::size_t length = std::strlen(message);
  if (length >= kMessageBytes) {
    length = kMessageBytes - 1;
    while (length > 0 && (message[length] & 0xC0) == 0x80) --length;  // not within a UTF-8 character
  }
  std::memmove(message_of_thread, message, length);
  message_of_thread[length] = '\0';
  return static_cast<medsam_status>(code);
}

medsam_status fail_with_text_of(const std::exception& e) noexcept {
  try {
    return fail(ErrorCode::backend, printable(e.what()).c_str());
  } catch (...) {
    return fail(ErrorCode::out_of_memory, "not enough memory for the message of an error");
  }
}

const char* last_error() noexcept { return message_of_thread; }

std::size_t checked_count(std::int64_t count, const void* data, const char* what) {
  if (count < 0)
    throw InvalidArgument(std::string(what) + ": got a count of " + std::to_string(count) + ", expected 0 or more");
  if (count > 0 && data == nullptr) {
    throw InvalidArgument(std::string(what) + ": got NULL and a count of " + std::to_string(count) +
                          ", expected an array of them");
  }
  return static_cast<std::size_t>(count);
}

bool checked_flag(std::int32_t flag, const char* what) {
  if (flag != 0 && flag != 1)
    throw InvalidArgument(std::string(what) + ": got " + std::to_string(flag) + ", expected 0 or 1");
  return flag == 1;
}

void check_capacity(const void* buffer, std::size_t capacity, std::uint64_t needed, const char* what) {
  if (capacity < needed || (buffer == nullptr && needed > 0)) {
    throw InvalidArgument(std::string(what) + ": got room for " + std::to_string(buffer == nullptr ? 0 : capacity) +
                          ", expected " + std::to_string(needed) + "; give a larger buffer");
  }
}

}  // namespace medsam::c_api
