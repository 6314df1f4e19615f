// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fixture of the C API's tests: the tiny bundle through C, with its handles ended at the end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "medsam/medsam.h"
#include "support/engine_test.hpp"

namespace medsam {

template <auto destroy>
struct Destroy {
  template <class Handle>
  void operator()(Handle* handle) const {
    destroy(handle);
  }
};
using CEngine = std::unique_ptr<medsam_engine, Destroy<medsam_engine_destroy>>;
using CEmbedding = std::unique_ptr<medsam_embedding, Destroy<medsam_embedding_destroy>>;
using CPrediction = std::unique_ptr<medsam_prediction, Destroy<medsam_prediction_destroy>>;

/// A struct with its defaults: initialized(medsam_prompt_init).
template <class Struct>
Struct initialized(medsam_status (*init)(Struct*, size_t)) {
  Struct value;
  EXPECT_EQ(init(&value, sizeof value), MEDSAM_OK) << medsam_last_error();
  return value;
}

#define EXPECT_OK(call) EXPECT_EQ(call, MEDSAM_OK) << medsam_last_error()
/// The call fails with `status`, and the message says `part`.
#define EXPECT_FAILS(call, status, part)            \
  do {                                              \
    EXPECT_EQ(call, status) << medsam_last_error(); \
    EXPECT_MESSAGE_HAS(medsam_last_error(), part);  \
  } while (false)
#define EXPECT_MESSAGE_HAS(message, part) \
  EXPECT_NE(std::string(message).find(part), std::string::npos) << "message: " << (message)

class CApiTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    cache_dir_ = options_.cache_dir;
    c_options_ = initialized(medsam_engine_options_init);
    c_options_.cache_dir = cache_dir_.c_str();
    c_options_.profile = "";
  }

  CEngine engine() { return engine(bundle_); }
  CEngine engine(const std::string& bundle) {
    medsam_engine* made = nullptr;
    EXPECT_OK(medsam_engine_create(bundle.c_str(), &c_options_, &made));
    return CEngine(made);
  }
  medsam_image c_image() {
    const ImageView view = image();
    return {view.data, MEDSAM_PIXEL_U8, view.channels, view.height, view.width, view.row_stride};
  }
  CEmbedding encode(const CEngine& engine) {
    const medsam_image view = c_image();
    medsam_embedding* made = nullptr;
    EXPECT_OK(medsam_encode(engine.get(), &view, nullptr, &made));
    return CEmbedding(made);
  }
  static medsam_labels c_labels(std::vector<std::uint16_t>& labels) {
    const LabelView out = view(labels);
    return {out.data, MEDSAM_LABEL_U16, 0, out.height, out.width, out.row_stride};
  }
  CPrediction predict(const CEngine& engine, const CEmbedding& embedding, const medsam_box& box) {
    medsam_prompt prompt = initialized(medsam_prompt_init);
    prompt.box = &box;
    medsam_prediction* made = nullptr;
    EXPECT_OK(medsam_predict(engine.get(), embedding.get(), &prompt, 1, nullptr, &made));
    return CPrediction(made);
  }

  std::string cache_dir_;
  medsam_engine_options c_options_{};
};

}  // namespace medsam
