// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// That a model's files are those its manifest was written for.
#include <sys/stat.h>

#include <filesystem>

#include "bundle.hpp"
#include "external_data.hpp"
#include "medsam/error.hpp"
#include "sha256.hpp"

namespace medsam {

namespace fs = std::filesystem;

namespace {

void verify_file(const DataFile& file, const CacheFolder& cache, bool force) {
  struct stat status {};
  if (::stat(file.path.c_str(), &status) != 0) throw ModelError(file.path + ": missing; fetch the bundle again");
  const auto time = [](const timespec& t) { return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec); };
  const std::string path = fs::absolute(file.path).string();
  // ctime cannot be set back by a user, so a changed file is never taken for the verified one.
  const std::string stamp = path + "\n" + std::to_string(status.st_size) + " " + time(status.st_mtim) + " " +
                            time(status.st_ctim) + " " + std::to_string(status.st_ino) + " " + file.sha256 + "\n";
  const std::string entry = "verified/" + sha256_hex(path);
  if (!force && cache.read(entry) == stamp) return;
  const std::string got = sha256_file(file.path);
  if (got != file.sha256) {
    throw ModelError(file.path + ": got SHA-256 " + got.substr(0, 16) + "..., expected " + file.sha256.substr(0, 16) +
                     "...; the file is damaged or was changed, export or fetch the bundle again");
  }
  cache.write(entry, stamp);
}

}  // namespace

void verify_model(const ModelFile& model, const CacheFolder& cache, bool force) {
  verify_file({model.path, model.bytes, model.sha256}, cache, force);
  for (const DataFile& file : model.data) verify_file(file, cache, force);
  if (model.onnx) check_external_data(model);
}

}  // namespace medsam
