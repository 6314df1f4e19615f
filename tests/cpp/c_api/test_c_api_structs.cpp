// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The C API's structs in the versions that callers may have, and its messages.
#include <cstring>
#include <string>

#include "c_api/call.hpp"
#include "c_api/structs.hpp"
#include "support/c_api_test.hpp"

namespace medsam {
namespace {

TEST(CApiCalls, ALongMessageIsCutBetweenCharacters) {
  EXPECT_EQ(c_api::fail(ErrorCode::model, std::string(5000, 'x').c_str()), MEDSAM_MODEL_ERROR);
  EXPECT_EQ(std::strlen(medsam_last_error()), 2047u);
  std::string accented = "x";  // then characters of two bytes, so that byte 2047 is the second half of one
  for (int i = 0; i < 2000; ++i) accented += "\xC3\xA9";
  c_api::fail(ErrorCode::model, accented.c_str());
  EXPECT_EQ(std::strlen(medsam_last_error()), 2047u);
  c_api::fail(ErrorCode::model, accented.substr(1).c_str());
  EXPECT_EQ(std::strlen(medsam_last_error()), 2046u);
}

template <class Struct>
void expect_checks_its_size(medsam_status (*init)(Struct*, size_t)) {
  Struct value;
  EXPECT_FAILS(init(nullptr, sizeof value), MEDSAM_INVALID_ARGUMENT, "NULL");
  EXPECT_FAILS(init(&value, 0), MEDSAM_INVALID_ARGUMENT, "_init");
  EXPECT_FAILS(init(&value, sizeof value - 1), MEDSAM_INVALID_ARGUMENT, "_init");
  EXPECT_FAILS(init(&value, sizeof value + 8), MEDSAM_INVALID_ARGUMENT, "_init");
  EXPECT_OK(init(&value, sizeof value));
  EXPECT_EQ(value.size, sizeof value);
}

TEST(CApiStructs, AnUnknownSizeIsRefused) {
  expect_checks_its_size(medsam_engine_options_init);
  expect_checks_its_size(medsam_engine_info_init);
  expect_checks_its_size(medsam_cache_stats_init);
  expect_checks_its_size(medsam_embedding_info_init);
  expect_checks_its_size(medsam_prediction_info_init);
  expect_checks_its_size(medsam_encode_options_init);
  expect_checks_its_size(medsam_prompt_init);
  expect_checks_its_size(medsam_predict_options_init);
  expect_checks_its_size(medsam_segment_options_init);
  expect_checks_its_size(medsam_volume_options_init);
}

TEST_F(CApiTest, PromptsOfTwoSizesAreRefused) {
  const CEngine made = engine();
  const CEmbedding embedding = encode(made);
  const medsam_box box{16, 8, 47, 39};
  medsam_prompt prompts[2] = {initialized(medsam_prompt_init), initialized(medsam_prompt_init)};
  prompts[0].box = prompts[1].box = &box;
  prompts[1].size -= 8;
  medsam_prediction* out = nullptr;
  EXPECT_FAILS(medsam_predict(made.get(), embedding.get(), prompts, 2, nullptr, &out), MEDSAM_INVALID_ARGUMENT,
               "prompt 1");
}

// A struct that gained a field: its first version ended before `added`.
struct Grown {
  size_t size;
  std::int64_t first;
  std::int64_t added;
};

}  // namespace

template <>
inline constexpr std::size_t c_api::kFirstSize<Grown> = 16;

namespace {

TEST(CApiStructs, AnOlderCallersStructIsUnderstood) {
  const Grown defaults{sizeof(Grown), 1, 2};
  Grown theirs{16, 10, 99};  // `added` is not theirs: their struct ends before it
  EXPECT_EQ(c_api::load(&theirs, defaults, "grown").first, 10);
  EXPECT_EQ(c_api::load(&theirs, defaults, "grown").added, 2) << "the default";
  c_api::store(&theirs, 16, Grown{0, 20, 30}, "grown");
  EXPECT_EQ(theirs.size, 16u);
  EXPECT_EQ(theirs.first, 20);
  EXPECT_EQ(theirs.added, 99) << "nothing is written behind their struct";
  EXPECT_THROW(c_api::check_size<Grown>(8, "grown"), InvalidArgument);
  EXPECT_THROW(c_api::check_size<Grown>(20, "grown"), InvalidArgument);
  EXPECT_THROW(c_api::check_size<Grown>(32, "grown"), InvalidArgument);
}

}  // namespace
}  // namespace medsam
