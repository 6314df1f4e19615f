// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "kernels/base/target.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "hwy/highway.h"

namespace medsam::kernels {
namespace {

std::string choose_target() {
  const std::vector<std::string>& targets = available_targets();
  const char* wanted = std::getenv("MEDSAM_ENGINE_SIMD");
  if (wanted == nullptr || *wanted == '\0') return targets.back();
  if (std::find(targets.begin(), targets.end(), wanted) != targets.end()) return wanted;
  std::string names;
  for (const std::string& name : targets) names += (names.empty() ? "" : ", ") + name;
  throw std::invalid_argument("MEDSAM_ENGINE_SIMD: got " + std::string(wanted) +
                              ", expected a target of this processor and build, one of " + names +
                              "; set one of these or unset the variable");
}

}  // namespace

const std::vector<std::string>& available_targets() {
  // Asked of the processor once: CPUID traps in a virtual machine and costs tens of microseconds.
  static const std::vector<std::string> kTargets = [] {
    std::vector<std::string> names;
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
      if (target == HWY_SCALAR || target == HWY_EMU128) continue;
      names.insert(names.begin(), hwy::TargetName(target));  // Highway lists the best target first
    }
    names.insert(names.begin(), kReferenceTarget);
    return names;
  }();
  return kTargets;
}

const std::string& target() {
  static const std::string kChosen = choose_target();
  return kChosen;
}

}  // namespace medsam::kernels
