// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The pixel kernels of the target in use.
#include "kernels/base/target.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "kernels/pixels/simd/table.hpp"

namespace medsam::kernels {
namespace {

/// There is a table for each of available_targets(), of which target() is one.
const KernelTable& table_of(const std::string& target) {
  for (const KernelTable* candidate : available_tables()) {
    if (candidate->name == target) return *candidate;
  }
  return reference_table();
}

}  // namespace

const KernelTable& table() {
  static const KernelTable& chosen = table_of(target());
  return chosen;
}

std::vector<const KernelTable*> available_tables() {
  // Asked of the processor once: CPUID traps in a virtual machine and costs tens of microseconds.
  static const std::vector<const KernelTable*> kTables = [] {
    std::vector<const KernelTable*> tables = {&reference_table()};
    for (const SimdTable& simd : simd_tables()) tables.push_back(simd.table);
    return tables;
  }();
  return kTables;
}

}  // namespace medsam::kernels
