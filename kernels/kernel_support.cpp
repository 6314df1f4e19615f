// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "kernels/kernel_support.hpp"

#include "kernels/base/target.hpp"
#include "kernels/encoder/encoder_kernels.hpp"
#include "kernels/pixels/simd/table.hpp"

namespace medsam::kernels {

namespace {

constexpr std::size_t kColumn = 16;

std::string cell(const std::string& text) {
  return text + std::string(text.size() < kColumn ? kColumn - text.size() : 1, ' ');
}

const char* word(bool native) { return native ? "native" : "generic"; }

}  // namespace

std::vector<KernelSupport> kernel_support() {
  std::vector<KernelSupport> rows;
  for (const std::string& target : available_targets()) {
    KernelSupport row{target, false, false, false, false};
    for (const SimdTable& simd : simd_tables()) {
      if (target != simd.table->name) continue;
      row.pixels = true;
      row.f16 = simd.native_f16;
    }
    for (const EncoderTarget* encoder : available_encoder_targets()) {
      if (target != encoder->target) continue;
      row.products_of_f32 = row.products_of_f32 || encoder->fast_f32;
      row.products_of_bf16 = row.products_of_bf16 || encoder->fast_bf16;
    }
    rows.push_back(row);
  }
  return rows;
}

std::string kernel_support_table() {
  std::string text = cell("target") + cell("pixels") + cell("f16") + cell("f32 products") + "bf16 products\n";
  for (const KernelSupport& row : kernel_support()) {
    text += cell(row.target) + cell(word(row.pixels)) + cell(word(row.f16)) + cell(word(row.products_of_f32)) +
            word(row.products_of_bf16) + "\n";
  }
  return text;
}

}  // namespace medsam::kernels
