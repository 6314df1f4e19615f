// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The instructions of PTX that the CUDA kernels use, on the host, for what ptx_to_cpp.py writes. A register is 64 bits,
// of which an instruction reads the low ones its type has. Meanings: NVIDIA's "Parallel Thread Execution ISA", 9.7.
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>

namespace medsam::kernels::ptx {

/// One thread of a block: its place, and the exchange of values with the others of its warp.
struct Thread {
  std::uint64_t ctaid_x, ctaid_y, ntid_x, ntid_y, tid_x, tid_y, nctaid_x, nctaid_y;
  std::function<std::uint64_t(std::uint64_t value, std::uint64_t offset)> swap;

  /// shfl.sync.bfly of 32 bits by the whole warp; `clamp` and `members` as nvcc writes them for that.
  std::uint64_t exchange(std::uint64_t value, std::uint64_t offset, std::uint64_t clamp, std::uint64_t members) const;
};

struct Kernel {
  const char* body;  // the body's type as the C++ ABI mangles it inside namespace medsam::kernels::cuda
  void (*run)(std::uint64_t param, Thread& thread);
  bool shuffles;
};
extern const Kernel kKernels[];
extern const std::size_t kKernelCount;

template <typename T>
T get(std::uint64_t reg) {
  T value;
  std::memcpy(&value, &reg, sizeof value);
  return value;
}

/// Signed integers fill the register with their sign, as ld and cvt do.
template <typename T>
std::uint64_t put(T value) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::uint64_t>(
        static_cast<std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>(value));
  } else {
    std::uint64_t reg = 0;
    std::memcpy(&reg, &value, sizeof value);
    return reg;
  }
}

inline std::uint64_t address_of(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }
template <typename T>
std::uint64_t load(std::uint64_t at) {
  T value;
  std::memcpy(&value, reinterpret_cast<const void*>(at), sizeof value);
  return put(value);
}
template <typename T>
void store(std::uint64_t at, std::uint64_t reg) {
  const T value = get<T>(reg);
  std::memcpy(reinterpret_cast<void*>(at), &value, sizeof value);
}

/// Integers wrap; they are computed unsigned, as overflow is not defined otherwise.
template <typename T, class Operation>
auto wrapped(std::uint64_t a, std::uint64_t b, Operation operation) {
  if constexpr (std::is_integral_v<T>) return put(get<T>(operation(a, b)));
  if constexpr (!std::is_integral_v<T>) return put(operation(get<T>(a), get<T>(b)));
}

template <typename T>
std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  return wrapped<T>(a, b, [](auto x, auto y) { return x + y; });
}
template <typename T>
std::uint64_t sub(std::uint64_t a, std::uint64_t b) {
  return wrapped<T>(a, b, [](auto x, auto y) { return x - y; });
}
template <typename T>
std::uint64_t mul(std::uint64_t a, std::uint64_t b) {
  return wrapped<T>(a, b, [](auto x, auto y) { return x * y; });
}
template <typename T>
std::uint64_t mad(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  static_assert(std::is_integral_v<T>);
  return add<T>(mul<T>(a, b), c);
}
__extension__ using Wide128 = unsigned __int128;
template <typename T>
std::uint64_t mul_hi(std::uint64_t a, std::uint64_t b) {
  static_assert(std::is_same_v<T, std::uint64_t>);
  return static_cast<std::uint64_t>((static_cast<Wide128>(a) * b) >> 64);
}
/// Twice as wide as its factors.
template <typename T>
std::uint64_t mul_wide(std::uint64_t a, std::uint64_t b) {
  static_assert(sizeof(T) <= 4);
  using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  return put(static_cast<Wide>(get<T>(a)) * static_cast<Wide>(get<T>(b)));
}
template <typename T>
std::uint64_t fma(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  return put(std::fma(get<T>(a), get<T>(b), get<T>(c)));
}
template <typename T>
std::uint64_t div(std::uint64_t a, std::uint64_t b) {
  return put(static_cast<T>(get<T>(a) / get<T>(b)));
}
template <typename T>
std::uint64_t rcp(std::uint64_t a) {
  return put(T{1} / get<T>(a));
}
template <typename T>
std::uint64_t min(std::uint64_t a, std::uint64_t b) {
  static_assert(std::is_integral_v<T>);  // of floats it treats NaN and -0 in ways of its own
  return put(get<T>(b) < get<T>(a) ? get<T>(b) : get<T>(a));
}
template <typename T>
std::uint64_t max(std::uint64_t a, std::uint64_t b) {
  // max.f32: the one that is no NaN, and 0 of 0 and -0.
  if constexpr (std::is_same_v<T, float>) {
    const float x = get<float>(a), y = get<float>(b);
    if (x == y) return std::signbit(x) ? b : a;
    return put(!(y <= x) && y == y ? y : x == x ? x : y);
  } else {
    static_assert(std::is_integral_v<T>);
    return put(get<T>(a) < get<T>(b) ? get<T>(b) : get<T>(a));
  }
}
template <typename T>
std::uint64_t neg(std::uint64_t a) {
  if constexpr (std::is_integral_v<T>) return sub<T>(0, a);
  if constexpr (!std::is_integral_v<T>) return put(-get<T>(a));
}
template <typename T>
auto bit_not(std::uint64_t a) {
  if constexpr (std::is_same_v<T, bool>) return a == 0;
  if constexpr (!std::is_same_v<T, bool>) return put(get<T>(~a));
}
template <typename T>
std::uint64_t bit_and(std::uint64_t a, std::uint64_t b) {
  return a & b;
}
template <typename T>
std::uint64_t bit_or(std::uint64_t a, std::uint64_t b) {
  return a | b;
}
template <typename T>
std::uint64_t bit_xor(std::uint64_t a, std::uint64_t b) {
  return a ^ b;
}
/// Shifts by the type's width or more leave nothing but the sign.
template <typename T>
std::uint64_t shl(std::uint64_t a, std::uint64_t by) {
  const auto count = get<std::uint32_t>(by);
  return count >= 8 * sizeof(T) ? 0 : put(get<T>(a << count));
}
template <typename T>
std::uint64_t shr(std::uint64_t a, std::uint64_t by) {
  constexpr std::uint32_t kBits = 8 * sizeof(T);
  const auto count = get<std::uint32_t>(by);
  if (count >= kBits) return put(static_cast<T>(std::is_signed_v<T> && get<T>(a) < 0 ? -1 : 0));
  return put(static_cast<T>(get<T>(a) >> count));
}

#define MEDSAM_COMPARE(name, operation)                                                 \
  template <typename T>                                                                 \
  bool compare_##name(std::uint64_t a, std::uint64_t b) {                               \
    return get<T>(a) operation get<T>(b);                                               \
  }                                                                                     \
  template <typename T>                                                                 \
  bool compare_##name##u(std::uint64_t a, std::uint64_t b) {                            \
    return compare_##name<T>(a, b) || get<T>(a) != get<T>(a) || get<T>(b) != get<T>(b); \
  }
MEDSAM_COMPARE(eq, ==)
MEDSAM_COMPARE(lt, <)
MEDSAM_COMPARE(le, <=)
MEDSAM_COMPARE(gt, >)
MEDSAM_COMPARE(ge, >=)
#undef MEDSAM_COMPARE
/// Ordered: false with a NaN, unlike C++.
template <typename T>
bool compare_ne(std::uint64_t a, std::uint64_t b) {
  return get<T>(a) < get<T>(b) || get<T>(a) > get<T>(b);
}
template <typename T>
bool compare_neu(std::uint64_t a, std::uint64_t b) {
  return get<T>(a) != get<T>(b);
}

enum class Rounding : std::uint8_t { nearest, zero, down, up };
template <Rounding kRounding, typename T>
T to_whole(T value) {
  return kRounding == Rounding::nearest ? std::nearbyint(value)
         : kRounding == Rounding::zero  ? std::trunc(value)
         : kRounding == Rounding::down  ? std::floor(value)
                                        : std::ceil(value);
}
/// cvt. A float beyond an integer's range saturates, NaN becomes 0; everything else converts as in C++.
template <typename To, typename From, Rounding kRounding>
std::uint64_t convert(std::uint64_t reg) {
  const From value = get<From>(reg);
  if constexpr (std::is_integral_v<From> || (!std::is_integral_v<To> && sizeof(To) != sizeof(From))) {
    return put(static_cast<To>(value));
  } else if constexpr (!std::is_integral_v<To>) {
    return put(to_whole<kRounding>(value));
  } else {
    static_assert(sizeof(To) <= 4);
    const double whole = to_whole<kRounding>(static_cast<double>(value));
    if (whole != whole) return 0;
    if (whole <= static_cast<double>(std::numeric_limits<To>::min())) return put(std::numeric_limits<To>::min());
    if (whole >= static_cast<double>(std::numeric_limits<To>::max())) return put(std::numeric_limits<To>::max());
    return put(static_cast<To>(whole));
  }
}

template <typename T, class Operation>
std::uint64_t atomic(std::uint64_t at, Operation operation) {
  T* where = reinterpret_cast<T*>(at);  // one thread runs at a time: nothing is torn
  const T old = *where;
  *where = operation(old);
  return put(old);
}
template <typename T>
std::uint64_t atomic_add(std::uint64_t at, std::uint64_t value) {
  return atomic<T>(at, [&](T old) { return get<T>(add<T>(put(old), value)); });
}
template <typename T>
std::uint64_t atomic_min(std::uint64_t at, std::uint64_t value) {
  return atomic<T>(at, [&](T old) { return get<T>(value) < old ? get<T>(value) : old; });
}
template <typename T>
std::uint64_t atomic_max(std::uint64_t at, std::uint64_t value) {
  return atomic<T>(at, [&](T old) { return get<T>(value) > old ? get<T>(value) : old; });
}
template <typename T>
std::uint64_t atomic_exch(std::uint64_t at, std::uint64_t value) {
  return atomic<T>(at, [&](T) { return get<T>(value); });
}

}  // namespace medsam::kernels::ptx
