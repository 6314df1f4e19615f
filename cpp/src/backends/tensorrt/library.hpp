// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The TensorRT library in use: TensorRT for RTX or TensorRT, found and opened at run time. Where the products and their
// versions differ, they differ here.
#pragma once

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <memory>
#include <mutex>
#include <string>

namespace medsam::backends::tensorrt {

/// Receives TensorRT's messages and keeps the last errors for the exception that follows. Thread-safe; never destroyed,
/// because TensorRT keeps a pointer to it for the life of the process.
class Logger final : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override;
  /// The errors since the last call, in one line; "" for none. Of concurrent builds they may be mixed up.
  std::string take_errors();

 private:
  std::mutex mutex_;
  std::string errors_;
};

Logger& logger();

/// An opened library. Immutable.
struct Library {
  std::string name;  // "TensorRT-RTX 1.7.1.116", as in certificates and plans
  bool rtx = false;
  nvinfer1::IRuntime* (*create_runtime)(nvinfer1::ILogger&) = nullptr;
  nvinfer1::IBuilder* (*create_builder)(nvinfer1::ILogger&) = nullptr;
  nvonnxparser::IParser* (*create_parser)(nvinfer1::INetworkDefinition&, nvinfer1::ILogger&) = nullptr;
};

/// Opened at the first call and kept. Unsupported, naming the folders or versions, when there is none that this
/// plugin's headers fit.
const Library& library();

/// The flags of a network whose precisions are those of the graph and nothing else.
nvinfer1::NetworkDefinitionCreationFlags strongly_typed();

}  // namespace medsam::backends::tensorrt
