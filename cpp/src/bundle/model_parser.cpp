// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <algorithm>
#include <iterator>
#include <set>

#include "bundle/bundle_file.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace {

// Of a model, graph and data files together: ViT-H in f32 has 2.5 GB. Each byte is read, hashed and kept at a load.
constexpr std::int64_t kMaxModelBytes = std::int64_t{4} << 30;
constexpr std::int64_t kMaxDimension = 1 << 24;

std::vector<TensorSpec> parse_tensors(ObjectReader& model, const char* field) {
  std::vector<TensorSpec> tensors;
  const Json& list = model.get(field);
  check_list(model, field, list, 1);
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

std::string file_name(ObjectReader& reader) {
  std::string name = reader.string("file");
  const auto control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  const bool plain = !name.empty() && name.size() <= 255 && name.find_first_of("/\\") == std::string::npos &&
                     name[0] != '.' && std::none_of(name.begin(), name.end(), control);
  if (!plain) reader.fail("file", shown(name), "a plain file name inside the bundle");
  return name;
}

// Path, size and hash of a file, of which the size is checked here.
DataFile parse_file(ObjectReader& reader, const std::string& folder) {
  DataFile file;
  file.path = platform::in_folder(folder, file_name(reader));
  file.bytes = static_cast<std::uint64_t>(reader.integer("bytes", 1, kMaxModelBytes));
  file.sha256 = reader.string("sha256");
  if (file.sha256.size() != 64 || file.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    reader.fail("sha256", "\"" + file.sha256.substr(0, 70) + "\"", "64 lower-case hex digits");
  }
  const std::uint64_t size = BundleFile(file.path).size();
  if (size != file.bytes) {
    throw ModelError(file.path + ": got " + std::to_string(size) + " bytes, expected " + std::to_string(file.bytes) +
                     "; the file is damaged, export or fetch the bundle again");
  }
  return file;
}

void check_files(const ModelFile& model) {
  std::set<std::string> paths{model.path};
  std::uint64_t bytes = model.bytes;
  for (const DataFile& file : model.data) {
    if (!paths.insert(file.path).second) {
      throw ModelError(file.path + ": the manifest lists it twice for one model; export the bundle again");
    }
    bytes += file.bytes;
  }
  if (bytes > static_cast<std::uint64_t>(kMaxModelBytes)) {
    throw ModelError(model.path + ": got " + std::to_string(bytes) +
                     " bytes with its data files, expected at most 4 GiB; export a smaller model");
  }
}

}  // namespace

void check_list(const ObjectReader& reader, const char* field, const Json& list, std::size_t least) {
  constexpr std::size_t kMost = 64;
  const std::string expected = "a list of " + std::to_string(least) + " to " + std::to_string(kMost);
  if (!list.is_array()) reader.fail(field, list.type_name(), expected);
  if (list.size() < least || list.size() > kMost) {
    reader.fail(field, "a list of " + std::to_string(list.size()), expected);
  }
}

ModelFile parse_model(ObjectReader reader, const std::string& folder) {
  ModelFile model;
  const DataFile graph = parse_file(reader, folder);
  model.path = graph.path;
  model.bytes = graph.bytes;
  model.sha256 = graph.sha256;
  model.inputs = parse_tensors(reader, "inputs");
  model.outputs = parse_tensors(reader, "outputs");
  if (reader.has("data")) {
    const Json& list = reader.get("data");
    check_list(reader, "data", list, 1);
    for (const Json& item : list) {
      ObjectReader file(item, reader.where() + ": data[" + std::to_string(model.data.size()) + "]");
      model.data.push_back(parse_file(file, folder));
      file.finish();
    }
  }
  check_files(model);
  reader.finish();
  return model;
}

ModelFile parse_exact_model(ObjectReader reader, const std::string& folder) {
  const char* const of_a_file[] = {"file", "bytes", "sha256", "data"};
  const auto there = [&](const char* field) { return reader.has(field); };
  if (std::any_of(std::begin(of_a_file), std::end(of_a_file), there)) return parse_model(std::move(reader), folder);
  ModelFile model;
  model.inputs = parse_tensors(reader, "inputs");
  model.outputs = parse_tensors(reader, "outputs");
  reader.finish();
  return model;
}

}  // namespace medsam
