// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which approximations a bundle may run in: docs/bundle.md, "Certificates".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "medsam/engine_info.hpp"

namespace medsam {

/// The stage precisions of a native encoder: products on bf16 operands, or on f32.
inline constexpr const char *kBf16Fused = "bf16_fused", *kF32Fused = "f32_fused";
inline bool is_fused(const std::string& precision) { return precision == kBf16Fused || precision == kF32Fused; }

/// What each stage computes in.
struct StagePrecisions {
  std::string name = "f32";  // "f32", or the precision of the certificate
  std::string encoder = "f32", decoder = "f32";
};

/// A measured statement that an approximation keeps the masks.
struct Certificate {
  StagePrecisions stages;
  std::string model_hash;  // of the bundle it was measured on
  std::string backend;     // e.g. "OpenVINO 2026.4.1"
  std::string device;      // e.g. "CPU"
  std::int64_t images = 0;
  double agreement_mean = 0;               // DSC with the f32 masks, mean over the objects
  double agreement_worst = 0;              // of an object; NaN where it is not there, which no rule accepts
  std::optional<double> truth_f32, truth;  // mean DSC with the ground truth, where there is one
  std::optional<double> worst_loss;        // of truth DSC, over large objects that f32 gets right
  std::string quantized_encoder;           // hash of the int8 encoder that was measured; "" where there is none
  std::string fused_encoder;               // hash and backend of the native encoder that was measured; "" likewise
  std::string half_graphs;                 // hash of the f16 graphs that were measured; "" where there are none
  std::optional<double> largest;           // magnitude in those graphs
  std::string text;                        // all of it as JSON, by which it is known again
  CertificateOrigin origin = CertificateOrigin::bundle;
};

/// What a certificate and a bundle name a native encoder by: its file's hash and the backend that computes it.
std::string fused_identity(const std::string& hash, const std::string& backend);

/// The machine and the bundle that a precision is chosen for.
struct PrecisionContext {
  const std::vector<Certificate>& certificates;
  std::string model_hash, backend, device;
  std::function<bool(const std::string& precision)> native;  // whether the processor computes in it
  std::string quantized_encoder;                             // hash of the bundle's int8 encoder; "" = it has none
  std::string fused_encoder;                                 // hash and backend of the fused one
  std::string half_graphs;                                   // hash of the f16 graphs that the backend would run
  bool trust_bundle = false;                                 // whether the bundle's own word counts
};

/// Why a certificate does not hold, whosoever's word it is; "" when it does.
std::string fault_of(const Certificate& certificate, const PrecisionContext& context);

/// Why a certificate does not count here: fault_of, a processor that does not compute in it, or that it is only the
/// bundle's own word; "" when it does.
std::string obstacle(const Certificate& certificate, const PrecisionContext& context);

/// These stages, if they are f32 or a certificate holds for them here.
std::optional<StagePrecisions> certified_stages(const std::string& encoder, const std::string& decoder,
                                                const PrecisionContext& context);

/// Every pair of stages that certified_stages gives, as "encoder/decoder"; "f32/f32" first.
std::vector<std::string> certified_pairs(const PrecisionContext& context);

/// "f32": every stage computes in it, the encoder on this library's own kernels where a certificate shows that the
/// masks are the same; "auto": the fastest that is certified and native, else f32; "bf16", "f16" or "int8": what its
/// certificate covers, or every stage when `allow_uncertified`; "bf16/f32" names the encoder's and the decoder's.
/// InvalidArgument for another word; Unsupported, saying why, for one that is not certified or not native. "f32/f32" is
/// the exact graphs alone. Whether int8 is faster than bf16 differs by processor and graph: "auto" leaves it to what
/// was measured here (tuning.hpp).
StagePrecisions choose_precision(const std::string& wanted, bool allow_uncertified, const PrecisionContext& context);

}  // namespace medsam
