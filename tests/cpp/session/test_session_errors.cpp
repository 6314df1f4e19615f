// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Every call of a session refused: one clear error, and the session as it was.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/session_test.hpp"

namespace medsam {
namespace {

using testing::raised;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class SessionErrorTest : public SessionTest {
 protected:
  /// The call raises InvalidArgument with `part` in its message and leaves everything as it is.
  static void expect_refused(Session& session, const std::string& part, const std::function<void()>& call) {
    const Shown before = shown(session);
    const std::int64_t undo = session.undo_steps(), redo = session.redo_steps();
    const std::string message = raised<InvalidArgument>(call);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_EQ(shown(session), before) << message;
    EXPECT_EQ(session.undo_steps(), undo) << message;
    EXPECT_EQ(session.redo_steps(), redo) << message;
  }
};

TEST_F(SessionErrorTest, WhatNoSessionIsMadeOf) {
  const auto refused = [&](const std::shared_ptr<const Engine>& with, const VolumeView& pixels,
                           const SessionOptions& options) {
    return raised<InvalidArgument>([&] { Session(with, pixels, options); });
  };
  EXPECT_NE(refused(nullptr, volume(), {}).find("engine"), std::string::npos);
  VolumeView none = volume();
  none.depth = 0;
  EXPECT_NE(refused(engine(), none, {}), "none");
  none = volume();
  none.data = nullptr;
  EXPECT_NE(refused(engine(), none, {}), "none");
  none = volume();
  none.channels = 2;
  EXPECT_NE(refused(engine(), none, {}), "none");
  for (const double spacing : {0.0, -1.0, kNan, kInfinity, 1e-9, 1e9}) {
    for (double SessionOptions::*const axis :
         {&SessionOptions::spacing_x, &SessionOptions::spacing_y, &SessionOptions::spacing_z}) {
      SessionOptions options;
      options.*axis = spacing;
      const std::string message = refused(engine(), volume(), options);
      EXPECT_NE(message.find("spacing"), std::string::npos) << message;
    }
  }
  SessionOptions options;
  options.modality = "no such modality";
  EXPECT_NE(refused(engine(), volume(), options), "none");
  std::vector<float> floats(static_cast<std::size_t>(kSlice), 1.0f);
  floats[77] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(refused(engine(), {floats.data(), PixelType::f32, 1, kHeight, kWidth, 1, kWidth * 4, kSlice * 4}, {}),
            "none");
}

TEST_F(SessionErrorTest, PlanesThatAreNotThere) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  for (const Plane plane :
       {Plane{0, kDepth}, Plane{0, -1}, Plane{1, kHeight}, Plane{2, kWidth}, Plane{3, 0}, Plane{-1, 0},
        Plane{0, std::numeric_limits<std::int64_t>::max()}, Plane{2, std::numeric_limits<std::int64_t>::min()}}) {
    expect_refused(*made, "plane", [&] { made->add_box("a", Box{1, 1, 2, 2}, plane); });
    expect_refused(*made, "plane", [&] { made->add_click("a", {1, 1}, true, plane); });
    expect_refused(*made, "plane", [&] { made->add_scribble("a", {{1, 1}}, true, plane); });
    expect_refused(*made, "plane", [&] { made->add_lasso("a", {{1, 1}, {2, 1}, {2, 2}}, plane); });
    expect_refused(*made, "plane", [&] { made->add_line("a", {1, 1}, {2, 2}, plane); });
  }
}

TEST_F(SessionErrorTest, PositionsOutsideOfThePlane) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  for (const PlanePoint point : {PlanePoint{-0.6, 3}, PlanePoint{3, -0.6}, PlanePoint{kWidth - 0.5, 3},
                                 PlanePoint{3, kHeight - 0.5}, PlanePoint{kNan, 3}, PlanePoint{3, kNan},
                                 PlanePoint{kInfinity, 3}, PlanePoint{3, -kInfinity}, PlanePoint{1e300, 1e300}}) {
    expect_refused(*made, "click", [&] { made->add_click("a", point, true, {0, 3}); });
    expect_refused(*made, "scribble", [&] { made->add_scribble("a", {{1, 1}, point}, false, {0, 3}); });
    expect_refused(*made, "lasso", [&] { made->add_lasso("a", {{1, 1}, {5, 5}, point}, {0, 3}); });
    expect_refused(*made, "line", [&] { made->add_line("a", {1, 1}, point, {0, 3}); });
  }
  // Of another axis, the sides are the other axes'.
  expect_refused(*made, "click", [&] { made->add_click("a", {3, kDepth - 0.5}, true, {1, 3}); });
  expect_refused(*made, "click", [&] { made->add_click("a", {kHeight - 0.5, 3}, true, {2, 3}); });
  expect_refused(*made, "scribble", [&] { made->add_scribble("a", {}, true, {0, 3}); });
  expect_refused(*made, "lasso", [&] { made->add_lasso("a", {{1, 1}, {2, 2}}, {0, 3}); });
  expect_refused(*made, "scribble", [&] {
    made->add_scribble("a", std::vector<PlanePoint>(100001, {1, 1}), true, {0, 3});
  });
}

TEST_F(SessionErrorTest, BoxesThatAreNone) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  for (const Box& box : {Box{9, 4, 8, 15}, Box{8, 15, 23, 4}, Box{kNan, 4, 8, 15}, Box{8, 4, kInfinity, 15},
                         Box{-1, 4, 8, 15}, Box{8, 4, 41, 15}, Box{40, 4, 40, 15}, Box{0, 0, 1, 25}}) {
    expect_refused(*made, "box", [&] { made->add_box("a", box, {0, 3}); });
  }
  for (const Box3D& box :
       {Box3D{9, 4, 1, 8, 15, 2}, Box3D{1, 1, 3, 2, 2, 2}, Box3D{1, 1, kNan, 2, 2, 2}, Box3D{1, 1, 0.5, 2, 2, 2},
        Box3D{1, 1, -1, 2, 2, 2}, Box3D{1, 1, 8, 2, 2, 8}, Box3D{1, 1, 1, 2, 2, 9}, Box3D{1, 1, 1, 1e300, 2, 2}}) {
    expect_refused(*made, "box", [&] { made->add_box("a", box); });
  }
  VolumeOptions options;
  options.profile = "no such profile";
  const std::string message = raised<Error>([&] { made->add_box("a", Box3D{1, 1, 1, 2, 2, 2}, options); });
  EXPECT_NE(message, "none");
}

TEST_F(SessionErrorTest, NamesThatAreNone) {
  const auto made = session();
  std::vector<std::uint8_t> mask(voxels_.size());
  for (const std::string& name :
       {std::string(), std::string("line\nbreak"), std::string("a\0b", 3), std::string("\x1b[31mred"),
        std::string("\xff\xfe"), std::string("\xe2\x80\xae"), std::string(501, 'n')}) {
    expect_refused(*made, "object", [&] { made->add_box(name, Box{1, 1, 5, 5}, {0, 3}); });
    expect_refused(*made, "object", [&] { made->add_box(name, Box3D{1, 1, 1, 5, 5, 3}); });
    expect_refused(*made, "object", [&] { made->add_click(name, {1, 1}, true, {0, 3}); });
    expect_refused(*made, "object", [&] { made->add_scribble(name, {{1, 1}}, true, {0, 3}); });
    expect_refused(*made, "object", [&] { made->add_lasso(name, {{1, 1}, {3, 1}, {3, 3}}, {0, 3}); });
    expect_refused(*made, "object", [&] { made->add_line(name, {1, 1}, {3, 3}, {0, 3}); });
    expect_refused(*made, "object", [&] { made->add_mask(name, out(mask)); });
    expect_refused(*made, "object", [&] { made->propagate(name); });
    expect_refused(*made, "object", [&] { made->remove(name); });
    expect_refused(*made, "object", [&] { made->lock(name); });
    expect_refused(*made, "object", [&] { made->mask(name, out(mask)); });
  }
  expect_refused(*made, "object", [&] { made->propagate("unknown"); });
  made->add_box("Leber \xc3\xa4", Box{1, 1, 9, 9}, {0, 3});
  EXPECT_EQ(made->objects()[0].name, "Leber \xc3\xa4");
}

TEST_F(SessionErrorTest, ALockedObjectRefusesItsOwnPrompts) {
  const auto made = session();
  std::vector<std::uint8_t> mask(voxels_.size());
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  made->lock("a");
  expect_refused(*made, "locked", [&] { made->add_box("a", Box{1, 1, 5, 5}, {0, 3}); });
  expect_refused(*made, "locked", [&] { made->add_box("a", Box3D{1, 1, 1, 5, 5, 3}); });
  expect_refused(*made, "locked", [&] { made->add_click("a", {1, 1}, true, {0, 3}); });
  expect_refused(*made, "locked", [&] { made->add_scribble("a", {{1, 1}}, false, {0, 3}); });
  expect_refused(*made, "locked", [&] { made->add_lasso("a", {{1, 1}, {3, 1}, {3, 3}}, {0, 3}); });
  expect_refused(*made, "locked", [&] { made->add_line("a", {1, 1}, {3, 3}, {0, 3}); });
  expect_refused(*made, "locked", [&] { made->add_mask("a", out(mask)); });
  expect_refused(*made, "locked", [&] { made->propagate("a"); });
}

TEST_F(SessionErrorTest, ANegativeClickOnNothing) {
  const auto made = session();
  expect_refused(*made, "negative", [&] { made->add_click("a", {5, 5}, false, {0, 3}); });
  expect_refused(*made, "negative", [&] { made->add_scribble("a", {{5, 5}, {6, 6}}, false, {0, 3}); });
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  expect_refused(*made, "negative", [&] { made->add_click("a", {5, 5}, false, {0, 4}); });
}

TEST_F(SessionErrorTest, PropagationThatCannotBegin) {
  const auto made = session();
  std::vector<std::uint8_t> mask(voxels_.size(), 1);
  made->add_mask("mask", out(mask));
  made->add_box("3d", Box3D{1, 1, 1, 5, 5, 3});
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  expect_refused(*made, "prompt", [&] { made->propagate("mask"); });
  expect_refused(*made, "prompt", [&] { made->propagate("3d"); });
  const auto refused = [&](const std::string& part, const std::function<void(PropagateOptions&)>& change) {
    PropagateOptions options;
    change(options);
    expect_refused(*made, part, [&] { made->propagate("a", options); });
  };
  refused("axis", [](PropagateOptions& o) { o.axis = 3; });
  refused("axis", [](PropagateOptions& o) { o.axis = -1; });
  refused("axis 1", [](PropagateOptions& o) { o.axis = 1; });
  refused("planes", [](PropagateOptions& o) { o.first = -1; });
  refused("planes", [](PropagateOptions& o) { o.last = kDepth; });
  refused("planes", [](PropagateOptions& o) {
    o.first = 5;
    o.last = 4;
  });
  refused("distance", [](PropagateOptions& o) { o.distance = -1; });
  refused("distance", [](PropagateOptions& o) { o.distance = kNan; });
  refused("seconds", [](PropagateOptions& o) { o.seconds = kNan; });
  refused("seconds", [](PropagateOptions& o) { o.seconds = -1; });
  refused("direction", [](PropagateOptions& o) { o.direction = static_cast<PropagateDirection>(7); });
}

TEST_F(SessionErrorTest, ALineLongerThanAnyThatIsDrawn) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  std::vector<PlanePoint> zigzag;
  for (int i = 0; i < 1000; ++i) zigzag.push_back({i % 2 == 0 ? 0.0 : 39.0, static_cast<double>(i % 24)});
  expect_refused(*made, "pixels", [&] { made->add_scribble("a", zigzag, true, {0, 3}); });
  expect_refused(*made, "pixels", [&] { made->add_lasso("a", zigzag, {0, 3}); });
  zigzag.resize(100);
  made->add_scribble("a", zigzag, true, {0, 3});
}

TEST_F(SessionErrorTest, ViewsOfAnotherSize) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  std::vector<std::uint8_t> labels(voxels_.size() * 2);
  const auto changed = [&](std::int64_t LabelVolumeView::*field, std::int64_t value) {
    LabelVolumeView view = out(labels);
    view.*field = value;
    return view;
  };
  for (const LabelVolumeView& view :
       {changed(&LabelVolumeView::depth, kDepth - 1), changed(&LabelVolumeView::height, kHeight + 1),
        changed(&LabelVolumeView::width, kWidth - 1), changed(&LabelVolumeView::row_stride, kWidth - 1),
        changed(&LabelVolumeView::slice_stride, kSlice - 1), LabelVolumeView{}}) {
    expect_refused(*made, "", [&] { made->add_mask("a", view); });
    expect_refused(*made, "", [&] { made->mask("a", view); });
    expect_refused(*made, "", [&] { made->labels(view); });
  }
  expect_refused(*made, "256", [&] { made->mask("a", out(labels), 256); });
  expect_refused(*made, "label 0", [&] { made->mask("a", out(labels), 0); });
}

}  // namespace
}  // namespace medsam
