// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// std::bit_cast, which the standard library of emscripten 3.1.6 does not have yet. The compiler includes this file
// before every source (cmake/wasm32-emscripten.cmake).
#pragma once

#ifdef __cplusplus
#include <bit>
#include <version>

#ifndef __cpp_lib_bit_cast
namespace std {  // NOLINT(cert-dcl58-cpp): where the library lacks it

template <class To, class From>
constexpr To bit_cast(const From& from) noexcept {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

}  // namespace std
#endif
#endif
