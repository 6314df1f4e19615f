// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Embeddings as bytes.
//
// Layout, little-endian: "MEDSAMEB"; u32 version 2; u32 storage (0 f32, 1 f16); i64 height, width, input_size,
// new_height, new_width; f64 prompt_frame, prompt_scale_x, prompt_scale_y, point_shift; 64 characters of fingerprint;
// i32 index of the modality (-1 none); u32 channels of the image kept (0 none), then its height x width x channels
// bytes; u32 number of tensors; for each u32 rank, i64 dimensions, values; 16 bytes of XXH3-128 (canonical) over all
// before.
#pragma once

#include <cstddef>
#include <string>

#include "medsam/embedding.hpp"

namespace medsam {

std::string write_embedding(const ImageEmbedding& embedding);

/// In the storage it was written with. ModelError when the bytes are not what write_embedding wrote; nothing is
/// allocated beyond a small multiple of `size`.
ImageEmbedding read_embedding(const void* data, std::size_t size);

}  // namespace medsam
