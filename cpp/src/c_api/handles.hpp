// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the C API's opaque handles are: numbers that are never given out twice, and no addresses. A handle that was
// destroyed, one of another kind and any other value are therefore recognized for certain and never followed, also when
// the memory of what they stood for serves something else by then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c_api/call.hpp"
#include "medsam/engine.hpp"
#include "medsam/medsam_session.h"
#include "medsam/medsam_types.h"
#include "medsam/session.hpp"

namespace medsam::c_api {

/// What a medsam_engine handle stands for.
struct LoadedEngine {
  LoadedEngine(const char* bundle, EngineOptions options) : engine(bundle, std::move(options)) {
    for (const std::string& pair : engine.info().certified) certified.push_back(pair.c_str());
    for (const CertificateInfo& c : engine.info().certificates) {
      certificate_names.push_back(c.encoder + "/" + c.decoder);
      certificate_origins.push_back(static_cast<std::int32_t>(c.origin));
    }
    for (const std::string& name : certificate_names) certificates.push_back(name.c_str());
    for (const std::string& name : engine.info().modalities) modalities.push_back(name.c_str());
    for (const std::string& name : engine.info().experts) experts.push_back(name.c_str());
    for (const PromptKinds kinds : engine.info().trained_prompts) {
      trained_prompts.push_back(static_cast<std::int32_t>(kinds));
    }
  }

  Engine engine;
  std::vector<const char*> certified, modalities, experts;  // views of engine.info()
  std::vector<std::string> certificate_names;
  std::vector<const char*> certificates;  // views of them
  std::vector<std::int32_t> certificate_origins, trained_prompts;
};

/// What a medsam_session handle stands for.
struct OpenSession {
  std::unique_ptr<Session> session;
};

enum class HandleKind : std::uint8_t { engine = 1, embedding = 2, prediction = 3, session = 4 };

/// What a handle of a type stands for.
template <class Handle>
struct HandleTraits;
template <>
struct HandleTraits<medsam_engine> {
  using Target = const LoadedEngine;
  static constexpr HandleKind kKind = HandleKind::engine;
};
template <>
struct HandleTraits<medsam_embedding> {
  using Target = const ImageEmbedding;
  static constexpr HandleKind kKind = HandleKind::embedding;
};
template <>
struct HandleTraits<medsam_prediction> {
  using Target = const Prediction;
  static constexpr HandleKind kKind = HandleKind::prediction;
};
template <>
struct HandleTraits<medsam_session> {
  using Target = const OpenSession;
  static constexpr HandleKind kKind = HandleKind::session;
};

/// A new handle that keeps `target` alive until it is destroyed.
void* new_handle(HandleKind kind, std::shared_ptr<const void> target);

/// What the handle stands for, shared, so that it outlives a call even if the handle is destroyed meanwhile.
/// InvalidArgument: NULL, destroyed before, of another kind, or no handle at all.
std::shared_ptr<const void> target_of(HandleKind kind, const void* handle);

/// Forgets the handle and gives back what it stood for. NULL gives nullptr. InvalidArgument as target_of.
std::shared_ptr<const void> forget(HandleKind kind, const void* handle);

template <class Handle>
Handle* make_handle(std::shared_ptr<typename HandleTraits<Handle>::Target> target) {
  return static_cast<Handle*>(new_handle(HandleTraits<Handle>::kKind, std::move(target)));
}

template <class Handle>
std::shared_ptr<typename HandleTraits<Handle>::Target> target(const Handle* handle) {
  return std::static_pointer_cast<typename HandleTraits<Handle>::Target>(
      target_of(HandleTraits<Handle>::kKind, handle));
}

/// Ends a handle; what is no live handle is left alone, and medsam_last_error() says so.
template <class Handle>
void destroy(const Handle* handle) noexcept {
  static_cast<void>(call([&] { static_cast<void>(forget(HandleTraits<Handle>::kKind, handle)); }));
}

}  // namespace medsam::c_api
