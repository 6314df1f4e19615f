// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

#include "bundle/bundle.hpp"
#include "medsam/embedding.hpp"

namespace medsam {

/// Names everything that decides an embedding's values but for rounding noise: the encoder's content, the rules of the
/// image by their names, what the encoder is computed in (`computed`) and the storage. 64 hex digits.
std::string embedding_fingerprint(const Bundle& bundle, const ModelFile& encoder, const std::string& computed,
                                  EmbeddingStorage storage);

}  // namespace medsam
