// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/processor.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <array>
#include <cstdint>

namespace medsam::backends {

#if defined(__x86_64__)

namespace {

struct Registers {
  std::array<unsigned, 4> value{};
  [[nodiscard]] bool a(unsigned bit) const { return (value[0] >> bit & 1) != 0; }
  [[nodiscard]] bool b(unsigned bit) const { return (value[1] >> bit & 1) != 0; }
  [[nodiscard]] bool c(unsigned bit) const { return (value[2] >> bit & 1) != 0; }
  [[nodiscard]] bool d(unsigned bit) const { return (value[3] >> bit & 1) != 0; }
};

// All zero for a leaf that the processor does not have.
Registers ask(unsigned leaf, unsigned subleaf = 0) {
  Registers got;
  auto& [a, b, c, d] = got.value;
  if (__get_cpuid_count(leaf, subleaf, &a, &b, &c, &d) == 0) return {};
  return got;
}

// The registers that the operating system saves for each thread, XCR0.
std::uint64_t saved_state() {
  constexpr unsigned kOsXsave = 27;
  if (!ask(1).c(kOsXsave)) return 0;
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

std::string brand_string() {
  std::string name;
  for (unsigned leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    for (const unsigned word : ask(leaf).value) {
      for (int byte = 0; byte < 4; ++byte) {
        if (const char c = static_cast<char>(word >> 8 * byte & 0xff); c != '\0') name += c;
      }
    }
  }
  return name;
}

}  // namespace

const Processor& processor() {
  static const Processor kProcessor = [] {
    constexpr std::uint64_t kAvx = 0x6, kAvx512 = 0xe6;
    Processor p;
    p.name = brand_string();
    const std::uint64_t saved = saved_state();
    const Registers features = ask(7);
    const Registers more = features.value[0] >= 1 ? ask(7, 1) : Registers{};
    const bool avx2 = (saved & kAvx) == kAvx && features.b(5), avx_vnni = avx2 && more.a(4);
    p.avx512_core =
        (saved & kAvx512) == kAvx512 && features.b(16) && features.b(17) && features.b(30) && features.b(31);
    const bool avx512_bf16 = p.avx512_core && features.c(11) && more.a(5);
    p.avx512_fp16 = avx512_bf16 && features.d(23) && avx_vnni;
    p.avx2_vnni_2 = avx_vnni && more.d(4) && more.d(5);
    return p;
  }();
  return kProcessor;
}

#else

const Processor& processor() {
  static const Processor kProcessor;
  return kProcessor;
}

#endif

}  // namespace medsam::backends
