// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/certificate.hpp"

#include <limits>
#include <map>
#include <utility>

#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

const Arithmetic* known_arithmetic(const ObjectReader& stages, const char* field, Stage stage,
                                   const std::string& name) {
  const Arithmetic* arithmetic = find_arithmetic(stage, name);
  if (arithmetic == nullptr) stages.fail(field, "\"" + name.substr(0, 20) + "\"", arithmetic_names(stage));
  return arithmetic;
}

// The files of each stage, by Arithmetic::certificate_key.
using Identities = std::map<std::pair<std::string, Stage>, std::string>;

// What the stages do not ask for is read, too: an unknown field is an error.
Identities parse_identities(ObjectReader& certificate) {
  Identities identities;
  if (certificate.has("quantized")) {
    ObjectReader quantized = certificate.object("quantized");
    identities[{"quantized", Stage::encoder}] = quantized.string("encoder");
    quantized.finish();
  }
  if (certificate.has("fused")) {
    ObjectReader fused = certificate.object("fused");
    const auto read = [&](Stage stage, const char* file, const char* kernels) {
      if (!fused.has(file) && !fused.has(kernels)) return;
      const std::string hash = fused.string(file);
      identities[{"fused", stage}] = native_identity(hash, fused.string(kernels));
    };
    read(Stage::encoder, "encoder", "backend");
    read(Stage::decoder, "decoder", "decoder_backend");
    fused.finish();
  }
  if (certificate.has("f16")) {
    identities[{"f16", Stage::encoder}] = identities[{"f16", Stage::decoder}] = certificate.string("f16");
  }
  return identities;
}

void parse_stages(ObjectReader& reader, Certificate& certificate) {
  ObjectReader stages = reader.object("stages");
  const std::string encoder = stages.string("encoder"), decoder = stages.string("decoder");
  certificate.encoder.arithmetic = known_arithmetic(stages, "encoder", Stage::encoder, encoder);
  certificate.decoder.arithmetic = known_arithmetic(stages, "decoder", Stage::decoder, decoder);
  stages.finish();
  Identities identities = parse_identities(reader);
  certificate.encoder.identity = identities[{certificate.encoder.arithmetic->certificate_key, Stage::encoder}];
  certificate.decoder.identity = identities[{certificate.decoder.arithmetic->certificate_key, Stage::decoder}];
}

std::optional<double> optional_number(ObjectReader& reader, const char* field) {
  if (reader.get(field).is_null()) return std::nullopt;
  return reader.number(field);
}

}  // namespace

std::string native_identity(const std::string& hash, const std::string& backend) { return hash + " " + backend; }

Certificate parse_certificate(const Json& json, const std::string& where) {
  ObjectReader reader(json, where);
  Certificate certificate;
  certificate.text = json.dump();
  certificate.name = reader.string("precision");
  parse_stages(reader, certificate);
  certificate.model_hash = reader.string("model_hash");
  certificate.backend = reader.string("backend");
  certificate.device = reader.string("device");
  ObjectReader measured = reader.object("measured");
  certificate.images = measured.integer("images", 0, std::int64_t{1} << 40);
  certificate.agreement_mean = measured.number("agreement_mean");
  certificate.agreement_worst =
      optional_number(measured, "agreement_worst").value_or(std::numeric_limits<double>::quiet_NaN());
  certificate.truth_f32 = optional_number(measured, "truth_f32");
  certificate.truth = optional_number(measured, "truth");
  certificate.worst_loss = optional_number(measured, "worst_loss");
  if (measured.has("largest")) certificate.largest = measured.number("largest");
  for (const char* field : {"objects", "machine", "profile", "encode_ratio", "prompt_ratio"}) {
    measured.skip(field);
  }
  measured.finish();
  reader.finish();
  return certificate;
}

}  // namespace medsam
