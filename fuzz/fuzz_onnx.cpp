// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A graph's bytes: finding the files that it names ends with ModelError or without, whatever they are.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bundle/onnx_scan.hpp"
#include "finding.hpp"
#include "medsam/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view graph(reinterpret_cast<const char*>(data), size);
  try {
    medsam::check_external_data(medsam::scan_onnx(graph, "graph.onnx"), {});
  } catch (const medsam::ModelError& error) {
    medsam::fuzz::expect(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
