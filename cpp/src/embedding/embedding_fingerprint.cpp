// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "embedding/embedding_fingerprint.hpp"

#include "base/sha256.hpp"
#include "bundle/manifest_parser.hpp"

namespace medsam {

namespace {

// To be raised when the pixel kernels or this library's use of the encoder change an embedding's values: embeddings
// outlive the library's version in stores and files, and must not be taken for new ones.
constexpr int kEmbeddingRevision = 2;

}  // namespace

std::string embedding_fingerprint(const Bundle& bundle, const ModelFile& encoder, const std::string& computed,
                                  EmbeddingStorage storage) {
  const Json text = {{"revision", kEmbeddingRevision},
                     {"encoder", encoder.content_hash()},
                     {"input_size", bundle.input_size},
                     {"prompt_frame", bundle.prompt.frame},
                     {"point_shift", bundle.prompt.point_shift},
                     {"crops", bundle.needs_crops()},
                     {"precision", computed},
                     {"storage", storage == EmbeddingStorage::f16 ? "f16" : "f32"},
                     {"image", named(*bundle.profile.image)}};
  return sha256_hex(text.dump());
}

}  // namespace medsam
