// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A graph's bytes: finding the files that it names ends with ModelError or without, whatever they are.
#include <cstddef>
#include <cstdint>
#include <string>

#include "external_data.hpp"
#include "finding.hpp"
#include "medsam/error.hpp"
#include "tiny_bundle.hpp"

namespace {

const std::string& file() {
  static const medsam::testing::TemporaryFolder temporary;
  static const std::string path = temporary.path("graph.onnx");
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  medsam::testing::write_file(file(), std::string(reinterpret_cast<const char*>(data), size));
  medsam::ModelFile model;
  model.path = file();
  try {
    medsam::check_external_data(model);
  } catch (const medsam::ModelError& error) {
    medsam::fuzz::expect(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
