// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/tensorrt/rtx.hpp"

#include <charconv>

namespace medsam::backends::tensorrt::rtx {

namespace {

// Read by test_rtx_layout.py, under these names.
constexpr int kSetNbComputeCapabilities = 55, kSetComputeCapability = 57;  // of IBuilderConfig
constexpr int kCreateExecutionContext = 47, kCreateRuntimeConfig = 48;     // of ICudaEngine
constexpr int kCreateRuntimeCache = 5, kSetRuntimeCache = 6;               // of IRuntimeConfig
constexpr int kSerialize = 2, kDeserialize = 3;                            // of IRuntimeCache

// Every object of nvinfer1 is {table, implementation}; what a program calls goes to the implementation's own table.
struct Object {
  void* table;
  void* implementation;
};

template <class R, class... A>
R call(void* object, int slot, A... arguments) {
  void* implementation = static_cast<Object*>(object)->implementation;
  void* const* table = *static_cast<void* const**>(implementation);
  return reinterpret_cast<R (*)(void*, A...)>(table[slot])(implementation, arguments...);
}

}  // namespace

bool build_for(nvinfer1::IBuilderConfig& config, const std::string& target) {
  // nvinfer1::ComputeCapability names a generation by its number: kSM89 is 89. 0 and 1 name none and the one at hand.
  int capability = 0;
  const char* end = target.data() + target.size();
  if (!target.starts_with("sm_") || std::from_chars(target.data() + 3, end, capability).ptr != end) return false;
  return capability > 1 && call<bool>(&config, kSetNbComputeCapabilities, std::int32_t{1}) &&
         call<bool>(&config, kSetComputeCapability, std::int32_t{capability}, std::int32_t{0});
}

std::unique_ptr<RuntimeCache> RuntimeCache::create(nvinfer1::ICudaEngine& engine) {
  auto made = std::make_unique<RuntimeCache>();
  made->engine_ = &engine;
  made->config_.reset(call<Owned*>(&engine, kCreateRuntimeConfig));
  if (made->config_) made->cache_.reset(call<Owned*>(made->config_.get(), kCreateRuntimeCache));
  const bool set = made->cache_ && call<bool>(made->config_.get(), kSetRuntimeCache, made->cache_.get());
  return set ? std::move(made) : nullptr;
}

bool RuntimeCache::take(const std::string& bytes) {
  return call<bool>(cache_.get(), kDeserialize, static_cast<const void*>(bytes.data()), bytes.size());
}

std::string RuntimeCache::bytes() const {
  const std::unique_ptr<nvinfer1::IHostMemory> memory(call<nvinfer1::IHostMemory*>(cache_.get(), kSerialize));
  return memory ? std::string(static_cast<const char*>(memory->data()), memory->size()) : std::string();
}

std::unique_ptr<nvinfer1::IExecutionContext> RuntimeCache::create_context() const {
  return std::unique_ptr<nvinfer1::IExecutionContext>(
      call<nvinfer1::IExecutionContext*>(engine_, kCreateExecutionContext, config_.get()));
}

}  // namespace medsam::backends::tensorrt::rtx
