// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "kernels/support/tables_under_test.hpp"

namespace medsam::kernels {

std::vector<const KernelTable*> tables_under_test() { return available_tables(); }
bool refused(const Pixels&, const ResizeNormalizeParams&) { return false; }

}  // namespace medsam::kernels
