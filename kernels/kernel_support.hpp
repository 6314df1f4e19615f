// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which kernels a target has instructions for, and which it computes by other ones: the table kernel x target, from the
// fields of the targets themselves. Every combination gives right results; this is about how fast.
#pragma once

#include <string>
#include <vector>

namespace medsam::kernels {

/// A target of this build and this processor. False: generic, in scalar code or by more instructions.
struct KernelSupport {
  std::string target;     // its name in base/target.hpp
  bool pixels;            // vectors for everything between an image and the encoder, and between the decoder and a mask
  bool f16;               // conversions from and to IEEE half precision
  bool products_of_f32;   // fused multiply-adds
  bool products_of_bf16;  // dot products or tiles of bf16, and rounding to it; else the oracle's scalar product
};

/// Of each of available_targets(), in its order.
std::vector<KernelSupport> kernel_support();

/// The same as lines of text, a row per target.
std::string kernel_support_table();

}  // namespace medsam::kernels
