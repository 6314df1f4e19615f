// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Chooses the table once: the best target of this CPU, or the one that MEDSAM_ENGINE_SIMD names.
#include <cstdlib>
#include <stdexcept>

#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/pixels/simd/table.hpp"

namespace medsam::kernels {
namespace {

const KernelTable& choose_table() {
  const std::vector<const KernelTable*> tables = available_tables();
  const char* wanted = std::getenv("MEDSAM_ENGINE_SIMD");
  if (wanted == nullptr || *wanted == '\0') return *tables.back();
  std::string names;
  for (const KernelTable* candidate : tables) {
    if (std::string(candidate->name) == wanted) return *candidate;
    names += std::string(names.empty() ? "" : ", ") + candidate->name;
  }
  throw std::invalid_argument("MEDSAM_ENGINE_SIMD: got " + std::string(wanted) +
                              ", expected a target of this processor and build, one of " + names +
                              "; set one of these or unset the variable");
}

}  // namespace

const KernelTable& table() {
  static const KernelTable& chosen = choose_table();
  return chosen;
}

std::vector<const KernelTable*> available_tables() {
  // Asked of the processor once: CPUID traps in a virtual machine and costs tens of microseconds.
  static const std::vector<const KernelTable*> kTables = [] {
    std::vector<const KernelTable*> tables = simd_tables();
    tables.insert(tables.begin(), &reference_table());
    return tables;
  }();
  return kTables;
}

}  // namespace medsam::kernels
