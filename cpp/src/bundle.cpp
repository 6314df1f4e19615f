// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "json_reader.hpp"
#include "medsam/error.hpp"
#include "sha256.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::uintmax_t kMaxManifestBytes = 16u << 20;
constexpr std::int64_t kMaxInputSize = 4096;
constexpr std::int64_t kMaxDimension = 1 << 24;

std::string read_manifest(const std::string& folder) {
  const fs::path path = fs::path(folder) / "manifest.json";
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw ModelError(folder + ": no such bundle folder; `medsam-engine fetch` or `export` makes one");
  }
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) throw ModelError(path.string() + ": missing; expected a bundle folder made by `medsam-engine export`");
  if (size > kMaxManifestBytes) {
    throw ModelError(path.string() + ": got " + std::to_string(size) + " bytes, expected a manifest of at most 16 MiB");
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) throw ModelError(path.string() + ": cannot be read; check its permissions");
  return content.str();
}

std::vector<TensorSpec> parse_tensors(ObjectReader& model, const char* field) {
  std::vector<TensorSpec> tensors;
  const Json& list = model.get(field);
  if (!list.is_array() || list.empty() || list.size() > 64) model.fail(field, "something else", "a list of tensors");
  for (const Json& item : list) {
    ObjectReader reader(item, model.where() + ": " + field + "[" + std::to_string(tensors.size()) + "]");
    TensorSpec tensor;
    tensor.name = reader.string("name");
    tensor.dtype = reader.choice<DType>("dtype", {{"f32", DType::f32}, {"i32", DType::i32}});
    tensor.shape = reader.integers("shape", -1, kMaxDimension);
    reader.finish();
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

ModelFile parse_model(const std::string& role, ObjectReader reader, const fs::path& folder) {
  ModelFile model;
  model.role = role;
  const std::string name = reader.string("file");
  const bool plain = !name.empty() && name.find_first_of("/\\") == std::string::npos && name[0] != '.';
  if (!plain) reader.fail("file", "\"" + name + "\"", "a plain file name inside the bundle");
  model.path = (folder / name).string();
  model.bytes = static_cast<std::uint64_t>(reader.integer("bytes", 1, std::int64_t{1} << 40));
  model.sha256 = reader.string("sha256");
  if (model.sha256.size() != 64 || model.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    reader.fail("sha256", "\"" + model.sha256.substr(0, 70) + "\"", "64 lower-case hex digits");
  }
  model.inputs = parse_tensors(reader, "inputs");
  model.outputs = parse_tensors(reader, "outputs");
  reader.finish();

  std::error_code error;
  const std::uintmax_t size = fs::file_size(model.path, error);
  if (error) throw ModelError(model.path + ": missing; the manifest names it, export or fetch the bundle again");
  if (size != model.bytes) {
    throw ModelError(model.path + ": got " + std::to_string(size) + " bytes, expected " + std::to_string(model.bytes) +
                     "; the file is damaged, export or fetch the bundle again");
  }
  return model;
}

void expect(const ModelFile& model, const std::vector<TensorSpec>& got, const std::vector<TensorSpec>& expected,
            const char* side) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const TensorSpec& want = expected[i];
    const bool same = i < got.size() && got[i].name == want.name && got[i].dtype == want.dtype &&
                      got[i].shape.size() == want.shape.size();
    if (!same) {
      throw ModelError("manifest.json: models: " + model.role + ": " + side + "[" + std::to_string(i) +
                       "]: expected \"" + want.name + "\" with " + std::to_string(want.shape.size()) +
                       " dimensions; export the bundle again with this version's tools");
    }
  }
  if (got.size() > expected.size()) {
    throw ModelError("manifest.json: models: " + model.role + ": " + side + " \"" + got[expected.size()].name +
                     "\" is not understood by this version; use a newer medsam-engine");
  }
}

// The tensors the engine knows how to fill and read (docs/bundle.md).
void check_roles(const Bundle& bundle) {
  const std::vector<TensorSpec> prompt = {{"image_embedding", DType::f32, {1, -1, -1, -1}},
                                          {"point_coords", DType::f32, {-1, -1, 2}},
                                          {"point_labels", DType::i32, {-1, -1}},
                                          {"mask_index", DType::i32, {-1}}};
  std::vector<TensorSpec> with_mask = prompt;
  with_mask.push_back({"mask_input", DType::f32, {-1, 1, -1, -1}});
  const std::vector<TensorSpec> answer = {{"low_res_logits", DType::f32, {-1, -1, -1, -1}},
                                          {"iou_predictions", DType::f32, {-1, -1}}};
  const ModelFile& encoder = bundle.model("encoder");
  expect(encoder, encoder.inputs, {{"image", DType::f32, {-1, 3, -1, -1}}}, "inputs");
  expect(encoder, encoder.outputs, {{"image_embedding", DType::f32, {-1, -1, -1, -1}}}, "outputs");
  for (const auto& [role, model] : bundle.models) {
    if (role == "encoder") continue;
    if (role != "decoder" && role != "decoder_mask") {
      throw ModelError("manifest.json: models: \"" + role.substr(0, 60) +
                       "\" is not understood by this version; use a newer medsam-engine");
    }
    expect(model, model.inputs, role == "decoder" ? prompt : with_mask, "inputs");
    expect(model, model.outputs, answer, "outputs");
    const std::vector<std::int64_t>& taken = model.inputs[0].shape;
    const std::vector<std::int64_t>& made = encoder.outputs[0].shape;
    if (!std::equal(taken.begin() + 1, taken.end(), made.begin() + 1)) {
      throw ModelError("manifest.json: the " + role +
                       " takes another embedding than the encoder makes; export it again");
    }
  }
  const std::vector<std::int64_t> input = encoder.inputs[0].shape;
  if (input[1] != 3 || input[2] != bundle.input_size || input[3] != bundle.input_size) {
    throw ModelError("manifest.json: the encoder's input is not (-1, 3, S, S) with S = image.input_size " +
                     std::to_string(bundle.input_size) + "; export the bundle again");
  }
  const auto fixed = [](const std::vector<std::int64_t>& shape, std::size_t from) {
    return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end(), [](auto d) { return d > 0; });
  };
  if (!fixed(encoder.outputs[0].shape, 1) || !fixed(bundle.model("decoder").outputs[0].shape, 2)) {
    throw ModelError("manifest.json: the embedding's and the logits' sizes must be fixed; export the bundle again");
  }
}

}  // namespace

const ModelFile& Bundle::model(const std::string& role) const {
  const auto it = models.find(role);
  if (it == models.end()) throw ModelError(folder + ": manifest.json has no model \"" + role + "\"; export it again");
  return it->second;
}

Bundle read_bundle(const std::string& folder) {
  const Json json = parse_json(read_manifest(folder), (fs::path(folder) / "manifest.json").string());
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
  ObjectReader prompt = reader.object("prompt");
  bundle.prompt_frame = static_cast<double>(prompt.integer("frame", 1, kMaxInputSize));
  prompt.finish();

  ObjectReader models = reader.object("models");
  std::string hashes;
  for (const auto& [role, value] : reader.get("models").items()) {
    bundle.models.emplace(role, parse_model(role, models.object(role.c_str()), folder));
    hashes += role + ":" + bundle.models.at(role).sha256 + "\n";
  }
  bundle.model_hash = sha256_hex(hashes);
  // Read by people and by tools/, not by the runtime.
  for (const char* field : {"provenance", "parity", "certificates"}) reader.skip(field);
  reader.finish();
  check_roles(bundle);
  return bundle;
}

void verify_model(const ModelFile& model, const CacheFolder& cache, bool force) {
  struct stat status {};
  if (::stat(model.path.c_str(), &status) != 0) throw ModelError(model.path + ": missing; fetch the bundle again");
  const auto time = [](const timespec& t) { return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec); };
  const std::string path = fs::absolute(model.path).string();
  // ctime cannot be set back by a user, so a changed file is never taken for the verified one.
  const std::string stamp = path + "\n" + std::to_string(status.st_size) + " " + time(status.st_mtim) + " " +
                            time(status.st_ctim) + " " + std::to_string(status.st_ino) + " " + model.sha256 + "\n";
  const std::string entry = "verified/" + sha256_hex(path);
  if (!force && cache.read(entry) == stamp) return;
  const std::string got = sha256_file(model.path);
  if (got != model.sha256) {
    throw ModelError(model.path + ": got SHA-256 " + got.substr(0, 16) + "..., expected " + model.sha256.substr(0, 16) +
                     "...; the file is damaged or was changed, export or fetch the bundle again");
  }
  cache.write(entry, [&](const std::string& file) { std::ofstream(file, std::ios::binary) << stamp; });
}

}  // namespace medsam
