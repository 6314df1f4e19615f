// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A test-only shared library with C functions over every kernel table, for comparisons from Python (ctypes): the oracle
// against the installed cv2 and torch, and benchmarks against OpenCV + NumPy. Never installed.
#include <cstring>
#include <memory>
#include <new>

#include "kernels/pixels/pixel_kernels.hpp"

namespace mk = medsam::kernels;

namespace {

const mk::KernelTable* find_table(const char* name) {
  for (const mk::KernelTable* candidate : mk::available_tables()) {
    if (std::strcmp(candidate->name, name) == 0) return candidate;
  }
  return nullptr;
}

/// Scratch that lives as long as its thread, as the engine's pooled requests keep theirs.
void* scratch_of(std::size_t bytes) {
  struct Deleter {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  thread_local std::unique_ptr<std::byte[], Deleter> memory;
  thread_local std::size_t size = 0;
  if (bytes > size) {
    memory.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
    size = bytes;
  }
  return memory.get();
}

}  // namespace

#define MEDSAM_PROBE extern "C" __attribute__((visibility("default")))

/// Name of the i-th table, or null past the last.
MEDSAM_PROBE const char* probe_table_name(int i) {
  const auto tables = mk::available_tables();
  return i >= 0 && static_cast<std::size_t>(i) < tables.size() ? tables[static_cast<std::size_t>(i)]->name : nullptr;
}

/// 1 or 0 as resize_normalize returns, -1 for an unknown table.
MEDSAM_PROBE int probe_resize_normalize(const char* table, const mk::Pixels* image,
                                        const mk::ResizeNormalizeParams* params, float* out) {
  const mk::KernelTable* t = find_table(table);
  if (t == nullptr) return -1;
  return t->resize_normalize(*image, *params, out, scratch_of(t->resize_normalize_scratch(*image, *params))) ? 1 : 0;
}

/// 0, or -1 for an unknown table.
MEDSAM_PROBE int probe_upsample_threshold(const char* table, const mk::UpsampleThresholdParams* params,
                                          mk::MaskStats* stats) {
  const mk::KernelTable* t = find_table(table);
  if (t == nullptr) return -1;
  *stats = t->upsample_threshold(*params, scratch_of(t->upsample_threshold_scratch(*params)));
  return 0;
}
