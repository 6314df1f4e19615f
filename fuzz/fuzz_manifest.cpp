// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A bundle's manifest.json, certificates included: read_bundle takes it or raises ModelError, and no certificate makes
// an approximation run that choose_precision's own rules refuse.
#include <cstddef>
#include <cstdint>
#include <string>

#include "bundle.hpp"
#include "certificate.hpp"
#include "finding.hpp"
#include "medsam/error.hpp"
#include "tiny_bundle.hpp"

namespace {

using medsam::fuzz::expect;

// The bundle's other files are those of tests/data/tiny_bundle.
const std::string& folder() {
  static const medsam::testing::TemporaryFolder temporary;
  static const std::string path = medsam::testing::copy_bundle("tiny_bundle", temporary.path("bundle"));
  return path;
}

void choose(const medsam::Bundle& bundle) {
  const auto native = [](const std::string& precision) { return precision != "f16"; };
  const medsam::PrecisionContext context{bundle.certificates, bundle.model_hash, "fake 1", "CPU", native, "",
                                         bundle.half_hash};
  for (const char* wanted : {"auto", "bf16", "f16", "int8", "bf16/f32"}) {
    try {
      const medsam::StagePrecisions chosen = medsam::choose_precision(wanted, false, context);
      const bool exact = chosen.encoder == "f32" && chosen.decoder == "f32";
      expect(exact || medsam::certified_stages(chosen.encoder, chosen.decoder, context).has_value());
    } catch (const medsam::Unsupported&) {
      continue;  // not certified
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  medsam::testing::write_file(folder() + "/manifest.json", std::string(reinterpret_cast<const char*>(data), size));
  try {
    choose(medsam::read_bundle(folder()));
  } catch (const medsam::ModelError& error) {
    expect(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
