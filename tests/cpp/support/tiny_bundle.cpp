// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/tiny_bundle.hpp"

#include <atomic>

#include "base/sha256.hpp"
#include "platform/folder.hpp"
#include "platform/path.hpp"
#include "platform/process.hpp"

namespace medsam::testing {

namespace fs = std::filesystem;
using nlohmann::json;

TemporaryFolder::TemporaryFolder() {
  static std::atomic<int> counter{0};
  root_ = platform::name_of(fs::temp_directory_path() / ("medsam-test-" + std::to_string(platform::process_id()) + "-" +
                                                         std::to_string(counter.fetch_add(1))));
  fs::remove_all(platform::disk_path(root_));
  fs::create_directories(platform::path_of(root_));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::remove_all(platform::disk_path(root_), error);
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(platform::disk_path(path), std::ios::binary | std::ios::trunc) << content;
}

json tiny_manifest() { return json::parse(std::ifstream(MEDSAM_ENGINE_TEST_DATA "/tiny_bundle/manifest.json")); }

std::string copy_bundle(const std::string& name, const std::string& folder) {
  static_cast<void>(platform::make_folders(folder));
  for (const auto& entry : fs::directory_iterator(fs::path(MEDSAM_ENGINE_TEST_DATA) / name)) {
    fs::copy_file(entry.path(), platform::disk_path(folder) / entry.path().filename(),
                  fs::copy_options::overwrite_existing);
  }
  return folder;
}

void add_fused(json& manifest, const std::vector<std::string>& roles) {
  for (const std::string& role : roles) {
    const bool encoder = role == "encoder";
    const std::string content = encoder ? kFusedEncoder : kFusedDecoder;
    json entry = manifest["models"][role];
    entry["file"] = encoder ? "encoder.fused.safetensors" : "decoder.fused.safetensors";
    entry["bytes"] = content.size();
    entry["sha256"] = sha256_hex(content);
    manifest["fused"][role] = entry;
  }
}

void remove_graphs(json& manifest) {
  for (json& model : manifest["models"]) {
    for (const char* field : {"file", "bytes", "sha256"}) model.erase(field);
  }
}

std::string write_tiny_bundle(const std::string& folder, const json& manifest) {
  copy_bundle("tiny_bundle", folder);
  write_file(folder + "/encoder.fused.safetensors", kFusedEncoder);
  write_file(folder + "/decoder.fused.safetensors", kFusedDecoder);
  write_file(folder + "/manifest.json", manifest.dump());
  return folder;
}

}  // namespace medsam::testing
