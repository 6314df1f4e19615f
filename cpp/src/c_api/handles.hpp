// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What the C API's opaque handles are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "medsam/engine.hpp"
#include "medsam/medsam_types.h"

struct medsam_engine {
  medsam_engine(const char* bundle, medsam::EngineOptions options) : engine(bundle, std::move(options)) {
    for (const std::string& pair : engine.info().certified) certified.push_back(pair.c_str());
    for (const std::string& name : engine.info().modalities) modalities.push_back(name.c_str());
    for (const std::string& name : engine.info().experts) experts.push_back(name.c_str());
  }

  medsam::Engine engine;
  std::vector<const char*> certified, modalities, experts;  // views of engine.info()
};

struct medsam_embedding {
  medsam::ImageEmbedding embedding;
};

struct medsam_prediction {
  medsam::Prediction prediction;
};
