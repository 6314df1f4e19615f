// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/tuning.hpp"

#include <thread>

#include "base/json_reader.hpp"
#include "base/sha256.hpp"
#include "kernels/pixels/pixel_kernels.hpp"
#include "medsam/error.hpp"
#include "platform/process.hpp"

namespace medsam {

namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kMaxThreads = 4096;

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

}  // namespace

// Two machines of one processor may differ in their memory.
std::string machine_digest() { return sha256_hex(platform::machine_identity()).substr(0, 12); }

std::string machine_name(const backends::Backend& backend) {
  std::string name = backend.device_name() + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, " +
                     kernels::table().name;
  for (const char* format : {"bf16", "f16"}) {
    if (backend.native(format)) name += std::string(", ") + format;
  }
  return name + ", id " + machine_digest();
}

std::string tuning_entry(const TuningKey& key) {
  const std::string text =
      key.model_hash + "\n" + key.engine + "\n" + key.backend + "\n" + key.device + "\n" + key.machine;
  return "tuned/" + sha256_hex(text) + ".json";
}

void report_unused(const CacheFolder& cache, const TuningKey& key, const CacheFolder::Log& log,
                   const std::string& why) {
  if (!log) return;
  log("tuned choice " + cache.path(tuning_entry(key)) + " is not used: " + why + "; run `medsam-engine tune` again");
}

std::optional<Tuning> read_tuning(const CacheFolder& cache, const TuningKey& key, const CacheFolder::Log& log) {
  const std::optional<std::string> text = cache.read(tuning_entry(key));
  if (!text) return std::nullopt;
  try {
    return parse_tuning(*text, key);
  } catch (const ModelError& error) {
    const std::string why = error.what();
    report_unused(cache, key, log, why.substr(0, why.find(';')));  // the remedy there is for a bundle's manifest
    return std::nullopt;
  }
}

}  // namespace medsam
