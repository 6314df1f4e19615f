// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/bundle.hpp"

#include <algorithm>
#include <filesystem>

#include "base/json_reader.hpp"
#include "base/sha256.hpp"
#include "bundle/bundle_file.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr const char* kManifest = "manifest.json";
constexpr std::int64_t kSchemaVersion = 1;
constexpr std::uint64_t kMaxManifestBytes = 1u << 20;
constexpr std::int64_t kMaxInputSize = 4096;

std::string read_manifest(const std::string& folder) {
  const std::string path = platform::in_folder(folder, kManifest);
  std::error_code error;
  if (!fs::is_directory(platform::disk_path(folder), error)) {
    throw ModelError(folder + ": no such bundle folder; `medsam-engine fetch` or `export` makes one");
  }
  if (!fs::exists(fs::symlink_status(platform::disk_path(path), error))) {
    throw ModelError(path + ": missing; expected a bundle folder made by `medsam-engine export`");
  }
  const BundleFile file(path);
  if (file.size() > kMaxManifestBytes) {
    throw ModelError(path + ": got " + std::to_string(file.size()) + " bytes, expected a manifest of at most 1 MiB");
  }
  std::string content;
  content.reserve(static_cast<std::size_t>(file.size()));
  file.read(file.size(), [&](const char* data, std::size_t size) { content.append(data, size); });
  return content;
}

std::string known_modality(const ObjectReader& reader, const std::string& name) {
  const auto canonical = canonical_modality(name);
  if (!canonical || *canonical != name) {
    throw ModelError(reader.where() + ": \"" + name.substr(0, 60) + "\" is no modality of this version");
  }
  return name;
}

ModalityRules parse_modality(ObjectReader modality) {
  ModalityRules rules;
  if (modality.has("index")) {
    ObjectReader index = modality.object("index");
    for (const auto& [name, value] : modality.get("index").items()) {
      rules.index[known_modality(index, name)] = static_cast<std::int32_t>(index.integer(name.c_str(), 0, 4096));
    }
    index.finish();
  }
  if (modality.has("experts")) {
    ObjectReader experts = modality.object("experts");
    for (const auto& [name, value] : modality.get("experts").items()) {
      rules.experts[known_modality(experts, name)] = experts.string(name.c_str());
    }
    experts.finish();
  }
  if (modality.has("fallback")) rules.fallback = modality.string("fallback");
  modality.finish();
  return rules;
}

// Who plays which role. Without "experts" the names of the models are the roles.
std::map<std::string, ModelSet> parse_experts(ObjectReader& manifest, const Models& models) {
  std::map<std::string, ModelSet> experts;
  const auto play = [&](const std::string& expert, const std::string& role, const std::string& name) {
    const auto it = models.find(name);
    if (it == models.end()) {
      throw ModelError("manifest.json: experts: " + expert + ": no model \"" + name.substr(0, 60) + "\"");
    }
    ModelFile& model = experts[expert][role] = it->second;
    model.role = role;
  };
  if (!manifest.has("experts")) {
    for (const auto& [name, model] : models) play("", name, name);
    return experts;
  }
  ObjectReader reader = manifest.object("experts");
  for (const auto& [expert, value] : manifest.get("experts").items()) {
    if (expert.empty()) throw ModelError("manifest.json: experts: got an expert without a name");
    ObjectReader roles = reader.object(expert.c_str());
    for (const auto& [role, name] : reader.get(expert.c_str()).items()) play(expert, role, roles.string(role.c_str()));
    roles.finish();
  }
  reader.finish();
  return experts;
}

// The entries of "models", of which all have a file or none.
Models parse_models(ObjectReader& manifest, const std::string& folder) {
  ObjectReader list = manifest.object("models");
  Models models;
  for (const auto& [name, value] : manifest.get("models").items()) {
    ModelFile& model = models[name] = parse_exact_model(list.object(name.c_str()), folder);
    model.name = name;
    if (model.has_file() == models.begin()->second.has_file()) continue;
    throw ModelError(
        "manifest.json: models: got a file for some of them only, expected one for each, or for none in a bundle of "
        "native weights; export the bundle again");
  }
  return models;
}

// Names what the models compute from. Without graphs that is the native forms, of which there must be one of each.
std::string hash_of(const Models& models, const Bundle& bundle) {
  const auto native_form = [&](const std::string& name) {
    for (const Variant& variant : bundle.variants) {
      const bool has = variant.runner == Runner::native && variant.files->count(name) != 0;
      if (has) return variant.files->at(name).content_hash();
    }
    throw ModelError("manifest.json: models: " + name.substr(0, 60) +
                     ": got no \"file\" and nothing under \"fused\", expected one of them; export the bundle again");
  };
  std::string hashes;
  for (const auto& [name, model] : models) {
    hashes += name + ":" + (bundle.graphs ? model.content_hash() : "native " + native_form(name)) + "\n";
  }
  return sha256_hex(hashes);
}

}  // namespace

bool Bundle::needs_crops() const {
  return std::any_of(models.begin(), models.end(), [](const auto& expert) {
    return std::any_of(expert.second.begin(), expert.second.end(),
                       [](const auto& model) { return model.second.input_index("crop") >= 0; });
  });
}

bool Bundle::has_native_models() const {
  return std::any_of(variants.begin(), variants.end(), [](const Variant& v) { return v.runner == Runner::native; });
}

const ModelFile& Bundle::model(const std::string& role, const std::string& expert) const {
  const auto set = models.find(expert);
  const bool known = set != models.end() && set->second.count(role) != 0;
  if (!known) {
    throw ModelError(folder + ": manifest.json has no model \"" + role + "\"" +
                     (expert.empty() ? "" : " for the expert \"" + expert + "\"") + "; export it again");
  }
  return set->second.at(role);
}

Bundle read_bundle(const std::string& folder) {
  const Json json = parse_json(read_manifest(folder), platform::in_folder(folder, kManifest));
  ObjectReader reader(json, "manifest.json");
  const std::int64_t version = reader.integer("schema_version", 0, 1 << 30);
  if (version != kSchemaVersion) {
    throw ModelError("manifest.json: got schema_version " + std::to_string(version) + ", this version understands " +
                     std::to_string(kSchemaVersion) + "; export the bundle again or use a newer medsam-engine");
  }
  Bundle bundle;
  bundle.folder = folder;
  bundle.family = reader.string("family");
  bundle.profile = parse_profile(reader.get("profile"), "manifest.json: profile");
  if (!bundle.profile.image) throw ModelError("manifest.json: profile: field \"image\" is missing; export it again");

  ObjectReader image = reader.object("image");
  bundle.input_size = static_cast<int>(image.integer("input_size", 1, kMaxInputSize));
  image.finish();
  bundle.prompt = parse_prompt(reader.object("prompt"), kMaxInputSize);
  if (reader.has("trained_prompts")) bundle.trained = parse_trained_prompts(reader, bundle.prompt);
  if (reader.has("modality")) bundle.modality = parse_modality(reader.object("modality"));

  const Models models = parse_models(reader, folder);
  bundle.graphs = models.empty() || models.begin()->second.has_file();
  add_exact_graphs(bundle);
  add_f16_graphs(reader, models, bundle);
  bundle.models = parse_experts(reader, models);
  add_int8_encoder(reader, bundle);
  add_native_models(reader, bundle);
  bundle.model_hash = hash_of(models, bundle);
  // Read by people and by tools/, not by the runtime.
  for (const char* field : {"provenance", "parity"}) reader.skip(field);
  const Json& certificates = reader.get("certificates");
  check_list(reader, "certificates", certificates);
  for (const Json& item : certificates) {
    const std::string where = "manifest.json: certificates[" + std::to_string(bundle.certificates.size()) + "]";
    bundle.certificates.push_back(parse_certificate(item, where));
  }
  reader.finish();
  check_models(bundle);
  return bundle;
}

}  // namespace medsam
