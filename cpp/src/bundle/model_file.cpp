// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/model_file.hpp"

#include <algorithm>

#include "base/sha256.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace {

template <class Tensors>
std::ptrdiff_t place_of(const Tensors& tensors, const std::string& name) {
  const auto it = std::find_if(tensors.begin(), tensors.end(), [&](const TensorSpec& t) { return t.name == name; });
  return it == tensors.end() ? -1 : it - tensors.begin();
}

}  // namespace

std::string ModelFile::content_hash() const {
  if (data.empty()) return sha256;
  // A name holds no control character (bundle.cpp), so that no two lists give one text.
  std::string text = sha256 + "\n";
  for (const DataFile& file : data) {
    text += file.sha256 + " " + std::to_string(file.bytes) + " " + platform::file_name(file.path) + "\n";
  }
  return sha256_hex(text);
}

std::ptrdiff_t ModelFile::input_index(const std::string& tensor) const { return place_of(inputs, tensor); }
std::ptrdiff_t ModelFile::output_index(const std::string& tensor) const { return place_of(outputs, tensor); }

}  // namespace medsam
