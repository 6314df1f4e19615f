// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What this processor says about itself.
#pragma once

#include <string>

namespace medsam::backends {

struct Processor {
  std::string name;  // the brand string, e.g. "Intel(R) Xeon(R) Processor"; "" where it is not known
  // Instructions that the processor has and the operating system lets programs use.
  bool avx512_core = false;  // AVX-512 F, BW, VL and DQ
  bool avx512_fp16 = false;  // and FP16, BF16 and VNNI
  bool avx2_vnni_2 = false;  // AVX2 with VNNI-INT8 and NE-CONVERT, of processors without AVX-512
};

/// Asked once: CPUID traps in a virtual machine. Thread-safe.
const Processor& processor();

}  // namespace medsam::backends
