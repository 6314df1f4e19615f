// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <cstddef>
#include <string>

#include "npz/npy.hpp"

namespace medsam::npz {

struct ParsedHeader {
  NpyHeader header;
  std::size_t data_offset = 0;  ///< Of the first value, from the magic's first byte.
};

/// Reads magic, version and header of the .npy content `data`; InvalidArgument, naming `name`, when it is none of ours.
ParsedHeader parse_npy_header(const std::uint8_t* data, std::size_t size, const std::string& name);

}  // namespace medsam::npz
