// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Sessions through C: every call, its errors, and the masks of C++'s.
#include <algorithm>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "support/c_session_test.hpp"

namespace medsam {
namespace {

constexpr medsam_plane kPlane{0, 0, 3}, kUpright{1, 0, 7};
constexpr medsam_box kBox{8, 4, 23, 15};
constexpr medsam_box_3d kBox3D{8, 4, 1, 23, 15, 4};
constexpr medsam_plane_point kPoint{20, 12}, kPoints[] = {{5, 2}, {20, 2}, {12, 4}};

TEST_F(CSessionTest, EveryCallAnswersAsCpp) {
  const CSession made = session();
  SessionOptions options;
  options.spacing_z = 2.5;
  Session wanted(std::make_shared<const Engine>(bundle_, options_),
                 {voxels_.data(), PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kSlice}, options);
  medsam_voxel_box changed{};
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, &changed));
  expect_box(changed, wanted.add_box("a", Box{8, 4, 23, 15}, {0, 3}));
  EXPECT_OK(medsam_session_add_click(made.get(), "a", &kPoint, 0, &kPlane, &changed));
  expect_box(changed, wanted.add_click("a", {20, 12}, false, {0, 3}));
  EXPECT_OK(medsam_session_add_scribble(made.get(), "b", kPoints, 3, 1, &kUpright, &changed));
  expect_box(changed, wanted.add_scribble("b", {{5, 2}, {20, 2}, {12, 4}}, true, {1, 7}));
  EXPECT_OK(medsam_session_add_lasso(made.get(), "c", kPoints, 3, nullptr, &changed));
  expect_box(changed, wanted.add_lasso("c", {{5, 2}, {20, 2}, {12, 4}}));
  EXPECT_OK(medsam_session_add_line(made.get(), "d", &kPoints[0], &kPoints[1], &kPlane, &changed));
  expect_box(changed, wanted.add_line("d", {5, 2}, {20, 2}, {0, 3}));
  EXPECT_OK(medsam_session_add_box_3d(made.get(), "e", &kBox3D, nullptr, &changed));
  expect_box(changed, wanted.add_box("e", Box3D{8, 4, 1, 23, 15, 4}));
  std::vector<std::uint8_t> mask(voxels_.size());
  std::fill_n(mask.begin() + 500, 700, std::uint8_t{3});
  const medsam_label_volume in = c_out(mask);
  EXPECT_OK(medsam_session_add_mask(made.get(), "f", &in, &changed));
  expect_box(changed, wanted.add_mask("f", {mask.data(), LabelType::u8, kDepth, kHeight, kWidth, kWidth, kSlice}));
  EXPECT_OK(medsam_session_lock(made.get(), "f", 1));
  wanted.lock("f");
  medsam_propagate_options carry = initialized(medsam_propagate_options_init);
  carry.direction = MEDSAM_PROPAGATE_UP;
  carry.last = 4;
  EXPECT_OK(medsam_session_propagate(made.get(), "a", &carry, &changed));
  PropagateOptions wanted_carry;
  wanted_carry.direction = PropagateDirection::up;
  wanted_carry.last = 4;
  expect_box(changed, wanted.propagate("a", wanted_carry));
  EXPECT_OK(medsam_session_propagate(made.get(), "d", nullptr, &changed));
  expect_box(changed, wanted.propagate("d"));
  EXPECT_OK(medsam_session_remove(made.get(), "c", &changed));
  expect_box(changed, wanted.remove("c"));

  const std::vector<SessionObject> objects = wanted.objects();
  std::int64_t count = 0;
  EXPECT_OK(medsam_session_get_object_count(made.get(), &count));
  ASSERT_EQ(count, static_cast<std::int64_t>(objects.size()));
  for (std::int64_t i = 0; i < count; ++i) {
    medsam_session_object object = initialized(medsam_session_object_init);
    EXPECT_OK(medsam_session_get_object(made.get(), i, &object));
    const SessionObject& from = objects[static_cast<std::size_t>(i)];
    EXPECT_EQ(object.name, from.name);
    EXPECT_EQ(object.voxels, from.voxels);
    EXPECT_EQ(object.prompts, from.prompts);
    EXPECT_EQ(object.locked, from.locked ? 1 : 0);
    expect_box(object.box, from.box);
    std::vector<std::uint8_t> cpp(voxels_.size());
    wanted.mask(from.name, {cpp.data(), LabelType::u8, kDepth, kHeight, kWidth, kWidth, kSlice});
    EXPECT_EQ(mask_of(made, object.name), cpp) << object.name;
  }
  std::vector<std::uint8_t> labels(voxels_.size());
  wanted.labels({labels.data(), LabelType::u8, kDepth, kHeight, kWidth, kWidth, kSlice});
  EXPECT_EQ(labels_of(made), labels);
  std::int64_t undo = 0, redo = 0;
  EXPECT_OK(medsam_session_get_steps(made.get(), &undo, &redo));
  EXPECT_EQ(undo, wanted.undo_steps());
  EXPECT_OK(medsam_session_undo(made.get(), &changed));
  expect_box(changed, wanted.undo());
  EXPECT_OK(medsam_session_get_steps(made.get(), nullptr, &redo));
  EXPECT_EQ(redo, 1);
  EXPECT_OK(medsam_session_redo(made.get(), &changed));
  expect_box(changed, wanted.redo());

  const std::string path = folder_.path("session");
  EXPECT_OK(medsam_session_save(made.get(), path.c_str()));
  EXPECT_OK(medsam_session_reset(made.get(), &changed));
  expect_box(changed, wanted.reset());
  EXPECT_OK(medsam_session_load(made.get(), path.c_str(), &changed));
  expect_box(changed, wanted.load(path));
  EXPECT_EQ(labels_of(made), labels);
}

TEST_F(CSessionTest, WhatChangedNeedNotBeAsked) {
  const CSession made = session();
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, nullptr, nullptr));
  EXPECT_OK(medsam_session_undo(made.get(), nullptr));
  EXPECT_OK(medsam_session_redo(made.get(), nullptr));
  EXPECT_OK(medsam_session_reset(made.get(), nullptr));
  EXPECT_OK(medsam_session_get_steps(made.get(), nullptr, nullptr));
}

TEST_F(CSessionTest, KeepsItsEngineAndTellsHowFarEncodingIs) {
  const CSession made = session();
  engine_.reset();
  medsam_encoding_progress progress = initialized(medsam_encoding_progress_init);
  do {
    EXPECT_OK(medsam_session_get_encoding(made.get(), &progress));
    std::this_thread::yield();
  } while (progress.idle == 0);
  EXPECT_EQ(progress.encoded, kDepth);
  EXPECT_EQ(progress.total, kDepth);
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, nullptr));
}

TEST_F(CSessionTest, NullAndWhatIsNoSessionIsRefused) {
  const CSession made = session();
  medsam_session* const none = nullptr;
  std::vector<std::uint8_t> labels;
  const medsam_label_volume out = c_out(labels);
  std::int64_t number = 0;
  medsam_session_object object = initialized(medsam_session_object_init);
  medsam_encoding_progress progress = initialized(medsam_encoding_progress_init);
  for (medsam_session* const with : {none, reinterpret_cast<medsam_session*>(engine_.get())}) {
    const char* const part = "session: got";
    EXPECT_FAILS(medsam_session_add_box(with, "a", &kBox, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_add_box_3d(with, "a", &kBox3D, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_add_click(with, "a", &kPoint, 1, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_add_scribble(with, "a", kPoints, 3, 1, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT,
                 part);
    EXPECT_FAILS(medsam_session_add_lasso(with, "a", kPoints, 3, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_add_line(with, "a", kPoints, kPoints, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_add_mask(with, "a", &out, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_propagate(with, "a", nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_undo(with, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_redo(with, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_get_steps(with, &number, &number), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_remove(with, "a", nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_reset(with, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_lock(with, "a", 1), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_get_object_count(with, &number), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_get_object(with, 0, &object), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_read_mask(with, "a", &out, 1), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_read_labels(with, &out), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_get_encoding(with, &progress), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_save(with, "x"), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_FAILS(medsam_session_load(with, "x", nullptr), MEDSAM_INVALID_ARGUMENT, part);
  }
  medsam_session_destroy(nullptr);
  medsam_session* const ended = session().release();
  medsam_session_destroy(ended);
  EXPECT_FAILS(medsam_session_undo(ended, nullptr), MEDSAM_INVALID_ARGUMENT, "destroyed");
  medsam_session_destroy(ended);
  EXPECT_MESSAGE_HAS(medsam_last_error(), "destroyed");
}

TEST_F(CSessionTest, ArgumentsThatAreMissing) {
  const CSession made = session();
  const medsam_volume pixels = volume();
  medsam_session* out = made.get();
  EXPECT_FAILS(medsam_session_create(nullptr, &pixels, nullptr, &out), MEDSAM_INVALID_ARGUMENT, "engine");
  EXPECT_EQ(out, nullptr) << "a handle that could not be made is NULL";
  EXPECT_FAILS(medsam_session_create(engine_.get(), nullptr, nullptr, &out), MEDSAM_INVALID_ARGUMENT, "volume");
  EXPECT_FAILS(medsam_session_create(engine_.get(), &pixels, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, "session");
  EXPECT_FAILS(medsam_session_add_box(made.get(), nullptr, &kBox, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT,
               "object: got NULL");
  EXPECT_FAILS(medsam_session_add_box(made.get(), "a", nullptr, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, "box");
  EXPECT_FAILS(medsam_session_add_box_3d(made.get(), "a", nullptr, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, "box");
  EXPECT_FAILS(medsam_session_add_click(made.get(), "a", nullptr, 1, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT,
               "point");
  EXPECT_FAILS(medsam_session_add_scribble(made.get(), "a", nullptr, 2, 1, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT,
               "points");
  EXPECT_FAILS(medsam_session_add_lasso(made.get(), "a", kPoints, -1, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT,
               "points");
  EXPECT_FAILS(medsam_session_add_line(made.get(), "a", &kPoint, nullptr, nullptr, nullptr), MEDSAM_INVALID_ARGUMENT,
               "to");
  EXPECT_FAILS(medsam_session_add_mask(made.get(), "a", nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, "labels");
  EXPECT_FAILS(medsam_session_get_object_count(made.get(), nullptr), MEDSAM_INVALID_ARGUMENT, "count");
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, nullptr, nullptr));
  EXPECT_FAILS(medsam_session_get_object(made.get(), 0, nullptr), MEDSAM_INVALID_ARGUMENT, "object");
  EXPECT_FAILS(medsam_session_read_mask(made.get(), "a", nullptr, 1), MEDSAM_INVALID_ARGUMENT, "labels");
  EXPECT_FAILS(medsam_session_read_labels(made.get(), nullptr), MEDSAM_INVALID_ARGUMENT, "labels");
  EXPECT_FAILS(medsam_session_get_encoding(made.get(), nullptr), MEDSAM_INVALID_ARGUMENT, "progress");
  EXPECT_FAILS(medsam_session_save(made.get(), nullptr), MEDSAM_INVALID_ARGUMENT, "path");
  EXPECT_FAILS(medsam_session_load(made.get(), nullptr, nullptr), MEDSAM_INVALID_ARGUMENT, "path");
}

TEST_F(CSessionTest, ArgumentsThatAreWrong) {
  const CSession made = session();
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, nullptr));
  const auto before = labels_of(made);
  const medsam_plane beyond{0, 0, kDepth}, reserved{0, 1, 0}, fourth{3, 0, 0};
  for (const medsam_plane* plane : {&beyond, &reserved, &fourth}) {
    EXPECT_FAILS(medsam_session_add_box(made.get(), "a", &kBox, plane, nullptr), MEDSAM_INVALID_ARGUMENT, "plane");
    EXPECT_FAILS(medsam_session_add_click(made.get(), "a", &kPoint, 1, plane, nullptr), MEDSAM_INVALID_ARGUMENT,
                 "plane");
  }
  EXPECT_FAILS(medsam_session_add_click(made.get(), "a", &kPoint, 2, &kPlane, nullptr), MEDSAM_INVALID_ARGUMENT,
               "positive");
  EXPECT_FAILS(medsam_session_add_scribble(made.get(), "a", kPoints, 3, -1, &kPlane, nullptr), MEDSAM_INVALID_ARGUMENT,
               "positive");
  EXPECT_FAILS(medsam_session_lock(made.get(), "a", 2), MEDSAM_INVALID_ARGUMENT, "locked");
  EXPECT_FAILS(medsam_session_add_click(made.get(), "new", &kPoint, 0, &kPlane, nullptr), MEDSAM_INVALID_ARGUMENT,
               "negative");
  EXPECT_FAILS(medsam_session_add_lasso(made.get(), "a", kPoints, 2, &kPlane, nullptr), MEDSAM_INVALID_ARGUMENT,
               "lasso");
  EXPECT_FAILS(medsam_session_add_box(made.get(), "a\n", &kBox, &kPlane, nullptr), MEDSAM_INVALID_ARGUMENT, "object");
  EXPECT_FAILS(medsam_session_remove(made.get(), "unknown", nullptr), MEDSAM_INVALID_ARGUMENT, "unknown");
  medsam_session_object object = initialized(medsam_session_object_init);
  EXPECT_FAILS(medsam_session_get_object(made.get(), 1, &object), MEDSAM_INVALID_ARGUMENT, "number 1");
  EXPECT_FAILS(medsam_session_get_object(made.get(), -1, &object), MEDSAM_INVALID_ARGUMENT, "number -1");
  medsam_propagate_options carry = initialized(medsam_propagate_options_init);
  const auto refused = [&](const char* part) {
    EXPECT_FAILS(medsam_session_propagate(made.get(), "a", &carry, nullptr), MEDSAM_INVALID_ARGUMENT, part);
    carry = initialized(medsam_propagate_options_init);
  };
  carry.axis = 3;
  refused("axis");
  carry.direction = 3;
  refused("direction");
  carry.first = -2;
  refused("planes");
  carry.last = kDepth;
  refused("planes");
  carry.distance = -2;
  refused("distance");
  carry.seconds = std::numeric_limits<double>::quiet_NaN();
  refused("seconds");
  carry.size = 8;
  refused("propagate options");
  carry.cancelled = [](void*) -> std::int32_t { return 1; };
  EXPECT_FAILS(medsam_session_propagate(made.get(), "a", &carry, nullptr), MEDSAM_CANCELLED, "cancelled");
  medsam_volume_options how = initialized(medsam_volume_options_init);
  float iou = 0;
  how.iou = &iou;
  EXPECT_FAILS(medsam_session_add_box_3d(made.get(), "a", &kBox3D, &how, nullptr), MEDSAM_INVALID_ARGUMENT, "iou");
  EXPECT_FAILS(medsam_session_save(made.get(), folder_.path().c_str()), MEDSAM_INVALID_ARGUMENT, "session file");
  EXPECT_FAILS(medsam_session_load(made.get(), folder_.path().c_str(), nullptr), MEDSAM_INVALID_ARGUMENT,
               "session file");
  EXPECT_EQ(labels_of(made), before);
  std::int64_t undo = 0;
  EXPECT_OK(medsam_session_get_steps(made.get(), &undo, nullptr));
  EXPECT_EQ(undo, 1);
}

TEST_F(CSessionTest, OptionsThatAreWrong) {
  const medsam_volume pixels = volume();
  const auto refused = [&](const char* part) {
    medsam_session* out = nullptr;
    EXPECT_FAILS(medsam_session_create(engine_.get(), &pixels, &session_options_, &out), MEDSAM_INVALID_ARGUMENT, part);
    EXPECT_EQ(out, nullptr);
    session_options_ = initialized(medsam_session_options_init);
  };
  session_options_.spacing_x = 0;
  refused("spacing");
  session_options_.encode_ahead = 2;
  refused("encode_ahead");
  session_options_.reserved = 1;
  refused("reserved");
  session_options_.size = 0;
  refused("session options");
  session_options_.modality = "no such modality";
  refused("modality");
}

TEST_F(CSessionTest, ProgressReachesTheCallback) {
  const CSession made = session();
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, nullptr));
  medsam_propagate_options carry = initialized(medsam_propagate_options_init);
  std::int64_t last = 0;
  carry.progress = [](void* context, std::int64_t done, std::int64_t total) {
    EXPECT_LE(done, total);
    *static_cast<std::int64_t*>(context) = done;
  };
  carry.progress_context = &last;
  EXPECT_OK(medsam_session_propagate(made.get(), "a", &carry, nullptr));
  EXPECT_GT(last, 0);
}

TEST_F(CSessionTest, PlanesThatWereReachedStayWhenTheCallbackEndsIt) {
  struct Seen {
    std::vector<std::int64_t> planes;
    std::vector<std::uint8_t> mask;  // of the last one
  } seen;
  const CSession made = session();
  EXPECT_OK(medsam_session_add_box(made.get(), "a", &kBox, &kPlane, nullptr));
  medsam_propagate_options carry = initialized(medsam_propagate_options_init);
  carry.reached = [](void* context, std::int64_t index, const medsam_labels* mask) -> std::int32_t {
    EXPECT_EQ(mask->label_type, MEDSAM_LABEL_U8);
    EXPECT_EQ(mask->height, kHeight);
    EXPECT_EQ(mask->width, kWidth);
    auto& told = *static_cast<Seen*>(context);
    told.planes.push_back(index);
    told.mask.clear();
    const auto* row = static_cast<const std::uint8_t*>(mask->data);
    for (std::int64_t y = 0; y < mask->height; ++y, row += mask->row_stride) {
      told.mask.insert(told.mask.end(), row, row + mask->width);
    }
    return told.planes.size() < 2 ? 1 : 0;
  };
  carry.reached_context = &seen;
  EXPECT_OK(medsam_session_propagate(made.get(), "a", &carry, nullptr));
  ASSERT_EQ(seen.planes.size(), 2U);
  EXPECT_NE(seen.planes[0], seen.planes[1]);
  const std::vector<std::uint8_t> labels = labels_of(made);
  const std::size_t first = static_cast<std::size_t>(seen.planes[1]) * seen.mask.size();
  for (std::size_t i = 0; i < seen.mask.size(); ++i) ASSERT_EQ(labels[first + i] != 0, seen.mask[i] != 0) << i;
}

}  // namespace
}  // namespace medsam
