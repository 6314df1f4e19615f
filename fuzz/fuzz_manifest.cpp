// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A bundle's manifest.json, certificates included: read_bundle takes it or raises ModelError, in time proportional to
// its length, and no certificate makes an approximation run that choose()'s own rules refuse.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "bundle/bundle.hpp"
#include "finding.hpp"
#include "medsam/error.hpp"
#include "precision/resolve.hpp"
#include "support/fake_backend.hpp"
#include "support/tiny_bundle.hpp"

namespace {

using medsam::fuzz::expect;

// The bundle's other files are those of tests/data/tiny_bundle, and weights of native models.
const std::string& folder() {
  static const medsam::testing::TemporaryFolder temporary;
  static const std::string path = medsam::testing::write_tiny_bundle(temporary.path("bundle"));
  return path;
}

// The input; or, after 0xff, what follows it as the elements of a list, often enough for a large manifest: libFuzzer
// itself makes inputs of a few KiB.
std::string manifest(std::string_view input) {
  if (input.empty() || static_cast<unsigned char>(input.front()) != 0xff) return std::string(input);
  const std::string_view element = input.substr(1);
  std::string text = "{\"schema_version\": 1, \"parity\": [0";
  while (!element.empty() && text.size() + element.size() < (1 << 20) - 8) text.append(",").append(element);
  return text + "]}";
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void choose(const medsam::Bundle& bundle) {
  medsam::testing::fake_backend().fused = true;
  const auto graph = medsam::backends::create_backend("CPU"), native = medsam::backends::create_native("CPU");
  const medsam::Backends backends{bundle.graphs ? *graph : *native, native.get()};
  medsam::Situation here{bundle.certificates,
                         bundle.model_hash,
                         backends.graph.library(),
                         "CPU",
                         medsam::stage_runs(bundle, backends),
                         false,
                         bundle.graphs};
  const std::string free = bundle.graphs ? "f32/f32" : "f32_fused/f32_fused";
  expect(medsam::choose("auto", false, here).precision == "f32");  // its own word is not taken
  here.trust_bundle = true;
  for (const char* wanted : {"auto", "f32", "bf16", "f16", "int8", "bf16/f32", "f32_fused/f32_fused"}) {
    try {
      const medsam::Choice chosen = medsam::choose(wanted, false, here);
      const std::string encoder = chosen.encoder.name(), decoder = chosen.decoder.name();
      expect(chosen.pair() == free || medsam::certified_stages(encoder, decoder, here).has_value());
    } catch (const medsam::Unsupported&) {
      continue;  // not certified
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = manifest(std::string_view(reinterpret_cast<const char*>(data), size));
  medsam::testing::write_file(folder() + "/manifest.json", text);
  const double before = cpu_seconds();
  try {
    choose(medsam::read_bundle(folder()));
  } catch (const medsam::ModelError& error) {
    expect(std::string(error.what()).find('\n') == std::string::npos);
  }
  // Of the process, so that other work on the machine does not count; ten times what 1 MiB takes here, sanitised.
  expect(cpu_seconds() - before < 1 + 10 * static_cast<double>(text.size()) / (1 << 20));
  return 0;
}
