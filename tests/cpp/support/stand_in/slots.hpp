// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Tables of the slots that NvInferImpl.h fixes, made by hand; a call of any other slot ends the test.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <utility>

namespace medsam::testing {

[[noreturn]] inline void unexpected() {
  std::fputs("stand-in for TensorRT: a call that it does not know\n", stderr);
  std::abort();
}

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

struct Table {
  void* slots[96];
  Table(std::initializer_list<std::pair<int, void*>> known) {
    for (void*& s : slots) s = slot(&unexpected);
    for (const auto& [index, function] : known) slots[index] = function;
  }
};

}  // namespace medsam::testing
