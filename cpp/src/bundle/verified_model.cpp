// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/verified_model.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/sha256.hpp"
#include "bundle/bundle_file.hpp"
#include "bundle/onnx_scan.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

using Take = std::function<void(const char*, std::size_t)>;

[[noreturn]] void cannot(const std::string& what, int error) {
  throw BackendError("loading a model: " + what + " (" + std::generic_category().message(error) +
                     "); TMPDIR names another temporary folder");
}

void keep(const Descriptor& file, const char* data, std::size_t size) {
  if (!write_all(file, data, size)) cannot("its bytes cannot be kept", errno);
}

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

std::string entry_of(const DataFile& file) { return "verified/" + sha256_hex(fs::absolute(file.path).string()); }

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

std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }

}  // namespace

VerifiedModel::VerifiedModel(const ModelFile& model) {
  try {
    keep_in_memory(model);
    if (model.onnx) {
      const OnnxScan found = scan_onnx(bytes(), model.path);
      check_external_data(found, model);
      quantized_ = found.quantized;
    }
    if (!model.data.empty()) copy_to_folder(model);
  } catch (...) {
    clear();
    throw;
  }
}

VerifiedModel::~VerifiedModel() { clear(); }

void VerifiedModel::clear() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
  data_ = nullptr;
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
}

void VerifiedModel::keep_in_memory(const ModelFile& model) {
  memory_ = Descriptor(::memfd_create("medsam-model", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory_) cannot("there is no memory file", errno);
  const DataFile graph = graph_of(model);
  stamps_.emplace_back(graph,
                       read_verified(graph, [&](const char* data, std::size_t size) { keep(memory_, data, size); }));
  if (::fcntl(memory_.number(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    cannot("a memory file cannot be sealed", errno);
  }
  size_ = static_cast<std::size_t>(model.bytes);
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, memory_.number(), 0);
  if (mapped == MAP_FAILED) cannot("a memory file cannot be mapped", errno);
  data_ = static_cast<const char*>(mapped);
  path_ = "/proc/self/fd/" + std::to_string(memory_.number());
}

void VerifiedModel::copy_to_folder(const ModelFile& model) {
  std::error_code error;
  std::string name = (fs::temp_directory_path(error) / "medsam-engine-XXXXXX").string();
  if (error || ::mkdtemp(name.data()) == nullptr) cannot("no folder can be made in the temporary folder", errno);
  folder_ = name;
  const auto create = [&](const std::string& path) {
    Descriptor file = create_own_file(folder_ + "/" + name_of(path));
    if (!file) cannot("a file of the temporary folder cannot be made", errno);
    return file;
  };
  keep(create(model.path), data_, size_);
  for (const DataFile& data : model.data) {
    const Descriptor file = create(data.path);
    stamps_.emplace_back(data,
                         read_verified(data, [&](const char* bytes, std::size_t size) { keep(file, bytes, size); }));
  }
  path_ = folder_ + "/" + name_of(model.path);
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
