// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Objects and the history of their states.
#include "session/state.hpp"

#include <gtest/gtest.h>

namespace medsam::session {
namespace {

const Grid kGrid{{4, 32, 64}, {1, 1, 1}};
/// Bytes of bits of a slice in which all rows are set.
constexpr std::uint64_t kSliceBytes = 32 * 8;

Mask filled(std::int64_t z) {
  Mask mask(kGrid);
  PlaneMask all(kGrid, 0);
  std::fill(all.values.begin(), all.values.end(), std::uint8_t{1});
  mask.set_plane({0, z}, all);
  return mask;
}

State with(State state, const std::string& name, Mask mask, std::size_t points = 0) {
  Object object;
  object.name = name;
  object.mask = std::move(mask);
  if (points > 0) {
    SessionPrompt prompt;
    prompt.kind = PromptKind::scribble;
    prompt.points.assign(points, {1, 1});
    object.prompts.push_back(std::make_shared<const SessionPrompt>(std::move(prompt)));
  }
  state.put(finished(std::move(object)));
  return state;
}

TEST(SessionState, KeepsObjectsInTheOrderInWhichTheyWereMade) {
  State state = with(with({}, "b", filled(0)), "a", filled(1));
  const State copy = state;
  state = with(state, "b", filled(2));
  ASSERT_EQ(state.objects.size(), 2u);
  EXPECT_EQ(state.objects[0]->name, "b");
  EXPECT_EQ(state.find("b")->mask.box().z0, 2);
  EXPECT_EQ(copy.find("b")->mask.box().z0, 0) << "a copy is a value";
  EXPECT_EQ(state.find("c"), nullptr);
}

TEST(SessionState, TheDifferenceIsThatOfAllMasks) {
  const State a = with(with({}, "a", filled(0)), "b", filled(1)), b = with(with({}, "b", filled(1)), "c", filled(3));
  const VoxelBox box = difference(kGrid, a, b);
  EXPECT_EQ(box.z0, 0);
  EXPECT_EQ(box.z1, 3);
  EXPECT_EQ(box.x1, 63);
  EXPECT_TRUE(difference(kGrid, a, a).empty());
  EXPECT_EQ(difference(kGrid, {}, b).z0, 1);
  EXPECT_EQ(difference(kGrid, b, {}).z1, 3);
}

TEST(SessionHistory, UndoAndRedoMoveThroughTheStates) {
  History history(1 << 20);
  EXPECT_EQ(history.earlier(), nullptr);
  EXPECT_EQ(history.later(), nullptr);
  history.undo();
  history.redo();
  EXPECT_EQ(history.undo_steps() + history.redo_steps(), 0u);
  history.step(with({}, "a", filled(0)));
  history.step(with({}, "b", filled(1)));
  EXPECT_NE(history.earlier()->find("a"), nullptr);
  history.undo();
  EXPECT_NE(history.now().find("a"), nullptr);
  EXPECT_EQ(history.redo_steps(), 1u);
  EXPECT_NE(history.later()->find("b"), nullptr);
  history.redo();
  EXPECT_NE(history.now().find("b"), nullptr);
  history.undo();
  history.undo();
  EXPECT_TRUE(history.now().objects.empty());
  history.step(with({}, "c", filled(2)));
  EXPECT_EQ(history.later(), nullptr) << "a new step ends what was taken back";
  EXPECT_EQ(history.undo_steps(), 1u);
}

TEST(SessionHistory, ForgetsTheOldestStepsBeyondItsBytesAndKeepsOne) {
  History history(5 * kSliceBytes);
  for (int i = 0; i < 100; ++i) history.step(with({}, "a", filled(i % 4)));
  EXPECT_GE(history.undo_steps(), 1u);
  EXPECT_LE(history.undo_steps(), 5u);
  History none(0);
  for (int i = 0; i < 10; ++i) none.step(with({}, "a", filled(i % 4)));
  EXPECT_EQ(none.undo_steps(), 1u);
  none.undo();
  EXPECT_EQ(none.now().find("a")->mask.box().z0, 0);
}

TEST(SessionHistory, StepsThatShareEverythingAreNotForgotten) {
  History history(64 * kSliceBytes);
  State state = with({}, "a", filled(0));
  history.step(state);
  for (int i = 0; i < 8; ++i) {
    state = with(state, "a", state.find("a")->mask);
    history.step(state);
  }
  EXPECT_EQ(history.undo_steps(), 9u);
}

TEST(SessionHistory, PointsOfPromptsCountAsBytes) {
  // A scribble may have 100000 points.
  constexpr std::size_t kPoints = 100000;
  History history(4 * kPoints * sizeof(PlanePoint));
  for (int i = 0; i < 50; ++i) history.step(with({}, "a", filled(0), kPoints));
  EXPECT_LE(history.undo_steps(), 4u);
}

/// How many of 100 clicks on one object can be undone.
std::size_t steps_kept(std::optional<Mask> before) {
  History history(40 * kSliceBytes);
  Object object;
  object.name = "a";
  object.mask = filled(0);
  for (int i = 0; i < 100; ++i) {
    SessionPrompt click;
    click.kind = PromptKind::click;
    click.points = {{1, 1}};
    click.before = std::exchange(before, std::nullopt);  // the first one's
    object.prompts.push_back(std::make_shared<const SessionPrompt>(click));
    State state;
    state.put(finished(object));
    history.step(state);
  }
  return history.undo_steps();
}

TEST(SessionHistory, PromptsThatStepsShareAreNotCounted) {
  // A plane that was corrected keeps its voxels until then; every later step has them, too.
  const std::size_t without = steps_kept(std::nullopt);
  EXPECT_LT(without, 100u);
  EXPECT_EQ(steps_kept(filled(1)), without);
}

}  // namespace
}  // namespace medsam::session
