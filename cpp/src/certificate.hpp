// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which approximations a bundle may run in: docs/bundle.md, "Certificates".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "json_reader.hpp"

namespace medsam {

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
  std::optional<double> truth_f32, truth;  // mean DSC with the ground truth, where there is one
  std::optional<double> worst_loss;        // of truth DSC, over large objects that f32 gets right
};

/// Reads one entry of the manifest's list. ModelError.
Certificate parse_certificate(const Json& json, const std::string& where);

/// Why a certificate does not hold; "" when it does.
std::string fault_of(const Certificate& certificate, const std::string& model_hash, const std::string& backend,
                     const std::string& device);

/// The machine and the bundle that a precision is chosen for.
struct PrecisionContext {
  const std::vector<Certificate>& certificates;
  std::string model_hash, backend, device;
  std::function<bool(const std::string& precision)> native;  // whether the processor computes in it
};

/// "f32"; "auto": the fastest that is certified and native, else f32; "bf16" or "f16": what its certificate covers, or
/// every stage when `allow_uncertified`, with which "bf16/f32" names the encoder's and the decoder's. InvalidArgument
/// for another word; Unsupported, saying why, for one that is not certified or not native.
StagePrecisions choose_precision(const std::string& wanted, bool allow_uncertified, const PrecisionContext& context);

}  // namespace medsam
