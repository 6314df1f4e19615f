// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the manifest says a bundle may be computed in: each of these adds the variants of one of its fields, where it
// has that field, and throws ModelError where it is malformed (CONTRIBUTING.md, "Recipe: a precision").
#pragma once

#include "base/json_reader.hpp"
#include "bundle/bundle.hpp"
#include "bundle/model_parser.hpp"

namespace medsam {

/// The graphs as they are, by a request to the backend. No field.
void add_exact_graphs(Bundle& bundle);

/// "f16": every one of `models` once more, with f16 as its own types.
void add_f16_graphs(ObjectReader& manifest, const Models& models, Bundle& bundle);

/// "quantized": the encoder with large layers in int8; what its other layers compute in is said there. After the
/// bundle's models.
void add_int8_encoder(ObjectReader& manifest, Bundle& bundle);

/// "fused": the encoder's weights for this library's own kernels. After the bundle's models.
void add_native_encoder(ObjectReader& manifest, Bundle& bundle);

}  // namespace medsam
