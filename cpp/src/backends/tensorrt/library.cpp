// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/library.hpp"

#include <filesystem>
#include <vector>

#include "medsam/error.hpp"
#include "platform/library.hpp"
#include "platform/path.hpp"

namespace medsam::backends::tensorrt {

namespace fs = std::filesystem;

namespace {

// Calls go through virtual tables whose layout a major version fixes: the plugin serves the major it was compiled
// against. RTX's tables are those of TensorRT 11's headers for every call made here, checked for 1.7 by
// tests/python/tools/gpu/test_rtx_layout.py; another release is refused until that test has seen it.
constexpr int kHeaderMajor = NV_TENSORRT_MAJOR;
constexpr int kRtxHeaderMajor = 11;
constexpr int kRtxMajor = 1, kRtxMinor = 7;
constexpr std::size_t kMostErrorText = 400;

struct Product {
  std::string name, library, parser;
  bool rtx;
};

std::vector<Product> products() {
  std::vector<Product> list;
  if (kHeaderMajor == kRtxHeaderMajor) {
    list.push_back({"TensorRT-RTX", "libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1", true});
  }
  const std::string major = std::to_string(kHeaderMajor);
  list.push_back({"TensorRT", "libnvinfer.so." + major, "libnvonnxparser.so." + major, false});
  return list;
}

// The folders of a named installation, or: beside the plugin in site-packages, where [cuda] puts TensorRT for RTX; then
// wherever the loader looks ("").
std::vector<fs::path> folders() {
  if (const std::string named = platform::environment("TENSORRT_ROOT"); !named.empty()) {
    const fs::path root = platform::path_of(named);
    return {root / "lib", root};
  }
  std::vector<fs::path> list;
  if (const std::string own = platform::file_of(reinterpret_cast<const void*>(&library)); !own.empty()) {
    const fs::path site = platform::path_of(own).parent_path().parent_path().parent_path();
    list.push_back(site / "tensorrt_rtx_libs");
    list.push_back(site / "tensorrt_libs");
  }
  list.emplace_back();
  return list;
}

void* open(const fs::path& folder, const std::string& name) {
  std::string why;
  return platform::open_library(folder.empty() ? name : platform::name_of(folder / name), why);
}

template <class F>
F symbol(void* handle, const char* name) {
  void* found = platform::find_symbol(handle, name);
  if (found == nullptr) throw BackendError(std::string("TensorRT: its library lacks ") + name + "; reinstall it");
  return reinterpret_cast<F>(found);
}

// What the headers' inline functions call. One library per process, so plain pointers serve.
void* (*g_create_builder)(void*, std::int32_t);
void* (*g_create_runtime)(void*, std::int32_t);
void* (*g_create_parser)(void*, void*, int);

std::string version_text(void* handle) {
  std::string text;
  for (const char* part : {"Major", "Minor", "Patch", "Build"}) {
    const auto get = symbol<std::int32_t (*)()>(handle, (std::string("getInferLib") + part + "Version").c_str());
    text += (text.empty() ? "" : ".") + std::to_string(get());
  }
  return text;
}

void check_version(const Product& product, const std::string& version) {
  const std::string fit = product.rtx ? std::to_string(kRtxMajor) + "." + std::to_string(kRtxMinor) + "."
                                      : std::to_string(kHeaderMajor) + ".";
  if (version.starts_with(fit)) return;
  throw Unsupported("device: got " + product.name + " " + version + ", expected " + fit +
                    "x; install that one (docs/gpu.md) or use device \"CPU\"");
}

Library open_library() {
  std::string looked;
  for (const fs::path& folder : folders()) {
    looked += (looked.empty() ? "" : ", ") + (folder.empty() ? std::string("the loader's path") : folder.string());
    for (const Product& product : products()) {
      void* handle = open(folder, product.library);
      void* parser = handle != nullptr ? open(folder, product.parser) : nullptr;
      if (parser == nullptr) continue;
      const std::string version = version_text(handle);
      check_version(product, version);
      g_create_builder = symbol<decltype(g_create_builder)>(handle, "createInferBuilder_INTERNAL");
      g_create_runtime = symbol<decltype(g_create_runtime)>(handle, "createInferRuntime_INTERNAL");
      g_create_parser = symbol<decltype(g_create_parser)>(parser, "createNvOnnxParser_INTERNAL");
      Library made;
      made.name = product.name + " " + version;
      made.rtx = product.rtx;
      made.create_builder = [](nvinfer1::ILogger& log) {
        return static_cast<nvinfer1::IBuilder*>(g_create_builder(&log, NV_TENSORRT_VERSION));
      };
      made.create_runtime = [](nvinfer1::ILogger& log) {
        return static_cast<nvinfer1::IRuntime*>(g_create_runtime(&log, NV_TENSORRT_VERSION));
      };
      made.create_parser = [](nvinfer1::INetworkDefinition& network, nvinfer1::ILogger& log) {
        return static_cast<nvonnxparser::IParser*>(g_create_parser(&network, &log, NV_ONNX_PARSER_VERSION));
      };
      return made;
    }
  }
  throw Unsupported("device: got a CUDA device, but neither TensorRT for RTX nor TensorRT " +
                    std::to_string(kHeaderMajor) + " was found in " + looked +
                    "; pip install tensorrt-rtx-cu13, set TENSORRT_ROOT, or use device \"CPU\"");
}

}  // namespace

void Logger::log(Severity severity, const char* message) noexcept {
  if (severity > Severity::kERROR) return;
  try {
    const std::lock_guard lock(mutex_);
    if (errors_.size() > kMostErrorText) return;
    errors_ += (errors_.empty() ? "" : "; ") + std::string(message).substr(0, kMostErrorText);
  } catch (...) {  // no memory for a message: the failing call still says that it failed
    return;
  }
}

std::string Logger::take_errors() {
  const std::lock_guard lock(mutex_);
  std::string text = std::move(errors_);
  errors_.clear();
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

Logger& logger() {
  static auto* instance = new Logger();
  return *instance;
}

const Library& library() {
  // A failed attempt is repeated at the next call: the library may have been installed meanwhile.
  static const Library kInstance = open_library();
  return kInstance;
}

nvinfer1::NetworkDefinitionCreationFlags strongly_typed() {
#if NV_TENSORRT_MAJOR >= 11
  return 0;  // every network is
#else
  return 1u << static_cast<unsigned>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
}

}  // namespace medsam::backends::tensorrt
