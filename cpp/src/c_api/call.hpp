// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// How a C call runs: nothing is thrown out of it, its message is kept for its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "medsam/error.hpp"
#include "medsam/medsam_types.h"

namespace medsam::c_api {

/// Keeps the message for medsam_last_error() and returns the code's number. Allocates nothing.
medsam_status fail(ErrorCode code, const char* message) noexcept;

/// The same for an exception that is not ours, such as one that a callback threw: its text is made printable.
medsam_status fail_with_text_of(const std::exception& e) noexcept;

/// This thread's message.
const char* last_error() noexcept;

/// Runs f and turns what it throws into a status.
template <class F>
medsam_status call(F&& f) noexcept {
  try {
    std::forward<F>(f)();
    return MEDSAM_OK;
  } catch (const Error& e) {
    return fail(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "not enough memory for the call's arguments; ask for less at once");
  } catch (const std::length_error&) {
    return fail(ErrorCode::out_of_memory, "more entries than memory can hold were announced; check the counts given");
  } catch (const std::exception& e) {
    return fail_with_text_of(e);
  } catch (...) {
    return fail(ErrorCode::backend, "an exception of an unknown type left a callback; callbacks must return");
  }
}

/// The pointer's target. InvalidArgument, naming `what`, when it is NULL.
template <class T>
T& required(T* pointer, const char* what) {
  if (pointer == nullptr) throw InvalidArgument(std::string(what) + ": got NULL, expected a valid pointer");
  return *pointer;
}

/// A count as a size. InvalidArgument when it is negative, or when there is nothing at `data` to count.
std::size_t checked_count(std::int64_t count, const void* data, const char* what);

/// A flag as a bool. InvalidArgument when it is neither 0 nor 1.
bool checked_flag(std::int32_t flag, const char* what);

/// InvalidArgument when the caller's buffer of `capacity` entries cannot hold `needed`, or is NULL.
void check_capacity(const void* buffer, std::size_t capacity, std::uint64_t needed, const char* what);

}  // namespace medsam::c_api
