// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/verified_model.hpp"

#include <filesystem>
#include <new>
#include <system_error>

#include "base/sha256.hpp"
#include "bundle/bundle_file.hpp"
#include "bundle/onnx_scan.hpp"
#include "medsam/error.hpp"
#include "platform/file.hpp"
#include "platform/folder.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

using Take = std::function<void(const char*, std::size_t)>;

void check(const std::error_code& error, const char* what) {
  if (!error) return;
  throw BackendError(std::string("loading a model: ") + what + " (" + error.message() +
                     "); TMPDIR names another temporary folder");
}

constexpr const char* kNotKept = "its bytes cannot be kept";

// Gives each byte to `take` as it is hashed; returns the file's stamp, "" where it was changed meanwhile.
std::string read_verified(const DataFile& file, const Take& take) {
  const BundleFile opened(file.path);
  Sha256 sha;
  opened.read(file.bytes, [&](const char* data, std::size_t size) {
    sha.update(data, size);
    if (take) take(data, size);
  });
  const std::string got = sha.hex();
  if (got != file.sha256) {
    throw ModelError(file.path + ": got SHA-256 " + got.substr(0, 16) + "..., expected " + file.sha256.substr(0, 16) +
                     "...; the file is damaged or was changed, export or fetch the bundle again");
  }
  return opened.stamp();
}

std::string entry_of(const DataFile& file) {
  return "verified/" + sha256_hex(platform::name_of(fs::absolute(platform::path_of(file.path))));
}

void write_stamp(const DataFile& file, const std::string& stamp, const CacheFolder& cache) {
  if (!stamp.empty()) cache.write(entry_of(file), stamp + " " + file.sha256 + "\n");
}

void verify_file(const DataFile& file, const CacheFolder& cache, bool force) {
  if (!force) {
    const BundleFile opened(file.path);
    if (cache.read(entry_of(file)) == opened.stamp() + " " + file.sha256 + "\n") return;
  }
  write_stamp(file, read_verified(file, nullptr), cache);
}

DataFile graph_of(const ModelFile& model) { return {model.path, model.bytes, model.sha256}; }

}  // namespace

VerifiedModel::VerifiedModel(const ModelFile& model) {
  try {
    keep_in_memory(model);
    if (model.onnx) {
      const OnnxScan found = scan_onnx(bytes(), model.path);
      check_external_data(found, model);
      quantized_ = found.quantized;
    }
    // Where the system has no path for bytes in memory, the graph is copied, too; native weights are read from memory.
    if (!model.data.empty() || (model.onnx && memory_.path().empty())) copy_to_folder(model);
  } catch (...) {
    clear();
    throw;
  }
}

VerifiedModel::~VerifiedModel() { clear(); }

void VerifiedModel::clear() noexcept {
  memory_.clear();
  if (folder_.empty()) return;
  try {
    std::error_code error;
    fs::remove_all(platform::disk_path(folder_), error);
  } catch (const std::bad_alloc&) {
    return;  // it stays in the temporary folder, where the system or its user tidies up
  }
}

void VerifiedModel::keep_in_memory(const ModelFile& model) {
  check(memory_.open(static_cast<std::size_t>(model.bytes)), "there is no memory file");
  const DataFile graph = graph_of(model);
  stamps_.emplace_back(graph, read_verified(graph, [&](const char* data, std::size_t size) {
                         check(memory_.append(data, size), kNotKept);
                       }));
  check(memory_.seal(), "a memory file cannot be sealed");
  path_ = memory_.path();
}

void VerifiedModel::copy_to_folder(const ModelFile& model) {
  std::error_code error;
  folder_ = platform::make_temporary_folder(error);
  check(error, "no folder can be made in the temporary folder");
  const auto create = [&](const std::string& path) {
    platform::File file =
        platform::open_file(folder_ + "/" + platform::file_name(path), platform::Opening::create_own, error);
    check(error, "a file of the temporary folder cannot be made");
    return file;
  };
  check(platform::write_all(create(model.path), memory_.data(), memory_.size()), kNotKept);
  for (const DataFile& data : model.data) {
    const platform::File file = create(data.path);
    stamps_.emplace_back(data, read_verified(data, [&](const char* bytes, std::size_t size) {
                           check(platform::write_all(file, bytes, size), kNotKept);
                         }));
  }
  path_ = folder_ + "/" + platform::file_name(model.path);
}

void VerifiedModel::remember(const CacheFolder& cache) const {
  for (const auto& [file, stamp] : stamps_) write_stamp(file, stamp, cache);
}

std::unique_ptr<const VerifiedModel> ModelSource::read() const {
  auto verified = std::make_unique<const VerifiedModel>(file_);
  was_read_ = true;
  if (check_) check_(*verified);
  return verified;
}

void verify_model(const ModelFile& model, const CacheFolder& cache, bool force) {
  verify_file(graph_of(model), cache, force);
  for (const DataFile& file : model.data) verify_file(file, cache, force);
}

}  // namespace medsam
