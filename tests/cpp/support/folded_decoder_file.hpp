// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Weights files of the native decoder, good and bad, folded apart from
// tools/medsam_engine_tools/export/native/sam_decoder.py.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/sam_checkpoint.hpp"

namespace medsam::testing {

struct FoldedDecoderFile {
  nlohmann::json about;  // the header's own entry: format, architecture, grid, frame, heads, ...
  std::map<std::string, SamTensor> tensors;

  /// A tensor whose shape was changed has as many values as the shape asks for.
  [[nodiscard]] std::string bytes() const;
};

/// What export would write of a checkpoint: folded in double precision, rounded once.
FoldedDecoderFile folded_decoder_file(const SamCheckpoint& checkpoint);

}  // namespace medsam::testing
