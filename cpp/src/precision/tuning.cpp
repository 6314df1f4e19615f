// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/tuning.hpp"

#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "base/json_reader.hpp"
#include "base/sha256.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"
#include "medsam/library.hpp"
#include "precision/certificate_origin.hpp"

namespace medsam {

namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kMaxThreads = 4096;

// systemd's id of the installation, else the host's name: two machines of one processor may differ in their memory.
std::string machine_id() {
  std::string id;
  std::ifstream file("/etc/machine-id");
  if (std::getline(file, id) && !id.empty()) return id;
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

void expect_same(ObjectReader& reader, const char* field, const std::string& expected) {
  const std::string got = reader.string(field);
  if (got != expected) reader.fail(field, "\"" + got.substr(0, 80) + "\"", "\"" + expected + "\"");
}

Tuning parse_tuning(const std::string& text, const TuningKey& key) {
  const Json json = parse_json(text, "file");
  ObjectReader reader(json, "file");
  reader.integer("schema_version", kSchemaVersion, kSchemaVersion);
  expect_same(reader, "model_hash", key.model_hash);
  expect_same(reader, "engine", key.engine);
  expect_same(reader, "backend", key.backend);
  expect_same(reader, "device", key.device);
  expect_same(reader, "machine", key.machine);
  Tuning tuning;
  ObjectReader stages = reader.object("stages");
  tuning.encoder = stages.string("encoder");
  tuning.decoder = stages.string("decoder");
  stages.finish();
  tuning.threads = static_cast<int>(reader.integer("threads", 0, kMaxThreads));
  reader.skip("measured");  // for people
  reader.finish();
  return tuning;
}

void report(const CacheFolder& cache, const TuningKey& key, const CacheFolder::Log& log, const std::string& why) {
  if (!log) return;
  log("tuned choice " + cache.path(tuning_entry(key)) + " is not used: " + why + "; run `medsam-engine tune` again");
}

}  // namespace

std::string machine_digest() { return sha256_hex(machine_id()).substr(0, 12); }

std::string machine_name(const backends::Backend& backend) {
  std::string name = backend.device_name() + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, " +
                     kernels::table().name;
  for (const char* precision : {"bf16", "f16"}) {
    if (backend.native(precision)) name += std::string(", ") + precision;
  }
  return name + ", id " + machine_digest();
}

std::string tuning_entry(const TuningKey& key) {
  const std::string text =
      key.model_hash + "\n" + key.engine + "\n" + key.backend + "\n" + key.device + "\n" + key.machine;
  return "tuned/" + sha256_hex(text) + ".json";
}

std::optional<Tuning> read_tuning(const CacheFolder& cache, const TuningKey& key, const CacheFolder::Log& log) {
  const std::optional<std::string> text = cache.read(tuning_entry(key));
  if (!text) return std::nullopt;
  try {
    return parse_tuning(*text, key);
  } catch (const ModelError& error) {
    const std::string why = error.what();
    report(cache, key, log, why.substr(0, why.find(';')));  // the remedy there is for a bundle's manifest
    return std::nullopt;
  }
}

RunChoice choose_run(const EngineOptions& options, const Bundle& bundle, const backends::Backend& backend,
                     const backends::Backend* fused, const CacheFolder& cache, const CacheFolder::Log& log) {
  const auto native = [&](const std::string& precision) {
    if (precision == "f16" && backend.runs_half_graphs() && bundle.half_hash.empty()) return false;
    if (is_fused(precision)) return fused != nullptr && bundle.fused.has_value() && fused->native(precision);
    if (precision != "int8") return backend.native(precision);
    return bundle.quantized.has_value() && backend.native(bundle.quantized->rest);
  };
  const std::string int8 = bundle.quantized ? bundle.quantized->model.content_hash() : "";
  const std::string own =
      fused != nullptr && bundle.fused ? fused_identity(bundle.fused->content_hash(), fused->library()) : "";
  const std::string half = backend.runs_half_graphs() ? bundle.half_hash : "";
  const std::vector<Certificate> certificates = with_origins(bundle.certificates, bundle.model_hash, cache, log);
  const PrecisionContext context{certificates,
                                 bundle.model_hash,
                                 backend.library(),
                                 backend.device_id(),
                                 native,
                                 int8,
                                 own,
                                 half,
                                 options.trust_bundle_certificates};
  RunChoice choice;
  for (const Certificate& c : certificates) {
    choice.certificates.push_back({c.stages.name, c.stages.encoder, c.stages.decoder, c.origin, obstacle(c, context),
                                   c.images, c.agreement_mean, c.agreement_worst});
  }
  choice.certificates_file = cache.path(certificates_entry(bundle.model_hash));
  choice.machine = machine_name(backend);
  choice.certified = certified_pairs(context);
  const TuningKey key{bundle.model_hash, version(), backend.library(), backend.device_id(), choice.machine};
  choice.file = cache.path(tuning_entry(key));
  choice.threads = options.threads;
  if (options.precision == "auto") {
    if (const auto tuned = read_tuning(cache, key, log)) {
      if (auto precision = certified_stages(tuned->encoder, tuned->decoder, context)) {
        choice.precision = *std::move(precision);
        if (options.threads == 0) choice.threads = tuned->threads;
        choice.tuned = true;
        return choice;
      }
      report(cache, key, log,
             "no certificate of the bundle holds for encoder " + tuned->encoder.substr(0, 20) + " and decoder " +
                 tuned->decoder.substr(0, 20));
    }
  }
  choice.precision = choose_precision(options.precision, options.allow_uncertified, context);
  return choice;
}

}  // namespace medsam
