// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Calls of a session that fail on their way, are cancelled, or come from a forked child: the session stays as it was.
#include <gtest/gtest.h>

#include <stdexcept>

#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/session_test.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

using testing::raised;

class SessionFaultTest : public SessionTest {};

TEST_F(SessionFaultTest, ACallThatFailsOnItsWayLeavesTheSessionAsItWas) {
  for (const bool boxes_only : {false, true}) {
    if (boxes_only) know_boxes_only();
    options_.cache_bytes = 0;
    engine_.reset();
    session_options_.embedding_bytes = 0;
    const auto made = session();
    made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
    const std::vector<std::function<void()>> calls{
        [&] {
          made->add_box("a", Box{4, 4, 20, 20}, {0, 5});
        },
        [&] {
          made->add_box("a", Box3D{8, 4, 2, 23, 15, 5});
        },
        [&] {
          made->add_click("b", {20, 12}, true, {0, 3});
        },
        [&] {
          made->add_click("a", {20, 12}, false, {0, 3});
        },
        [&] {
          made->add_scribble("b", {{20, 4}, {22, 4}}, true, {1, 3});
        },
        [&] {
          made->add_lasso("b", {{10, 2}, {20, 2}, {20, 6}}, {2, 3});
        },
        [&] {
          made->add_line("b", {10, 12}, {20, 12}, {0, 3});
        },
        [&] { made->propagate("a"); },
    };
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const Shown before = shown(*made);
      const std::int64_t undo = made->undo_steps();
      bool failed = true;
      for (int after = 0; failed && after < 200; ++after) {
        testing::fake_backend().fail_after = after;
        failed = raised<BackendError>(calls[i]) != "none";
        testing::fake_backend().fail_after = -1;
        if (failed) {
          EXPECT_EQ(shown(*made), before) << i;
          EXPECT_EQ(made->undo_steps(), undo) << i;
        }
      }
      EXPECT_FALSE(failed) << i;
      if (made->undo_steps() > undo) {
        made->undo();
      }
      EXPECT_EQ(shown(*made), before) << i;
    }
  }
}

TEST_F(SessionFaultTest, CancelledAnywhereAPropagationChangesNothing) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 31, 19}, {0, 4});
  const Shown before = shown(*made);
  int asked = 0;
  PropagateOptions options;
  options.cancelled = [&] {
    ++asked;
    return false;
  };
  made->propagate("a", options);
  const Shown whole = shown(*made);
  made->undo();
  ASSERT_GT(asked, 0);
  for (int stop = 1; stop <= asked; ++stop) {
    int now = 0;
    options.cancelled = [&] { return ++now == stop; };
    EXPECT_NE(raised<Cancelled>([&] { made->propagate("a", options); }).find("cancelled"), std::string::npos);
    EXPECT_EQ(shown(*made), before) << stop;
    EXPECT_EQ(made->undo_steps(), 1) << stop;
    EXPECT_EQ(made->redo_steps(), 1) << stop;
  }
  options.cancelled = nullptr;
  options.progress = [](const VolumeProgress&) { throw std::runtime_error("from the host"); };
  EXPECT_NE(raised<Error>([&] { made->propagate("a", options); }), "none");
  EXPECT_EQ(shown(*made), before);
  VolumeOptions volume_options;
  volume_options.cancelled = [] { return true; };
  EXPECT_NE(raised<Cancelled>([&] { made->add_box("a", Box3D{8, 4, 2, 23, 15, 5}, volume_options); }), "none");
  EXPECT_EQ(shown(*made), before);
  made->redo();
  EXPECT_EQ(shown(*made), whole);
}

TEST_F(SessionFaultTest, AForkedChildIsRefusedAndEnds) {
  session_options_.encode_ahead = true;
  auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  std::vector<std::uint8_t> mask(voxels_.size());
  const std::string path = folder_.path("session");
  const std::vector<std::function<void()>> calls{
      [&] {
        made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
      },
      [&] {
        made->add_box("a", Box3D{8, 4, 1, 23, 15, 3});
      },
      [&] {
        made->add_click("a", {9, 9}, true, {0, 3});
      },
      [&] {
        made->add_scribble("a", {{9, 9}}, true, {0, 3});
      },
      [&] {
        made->add_lasso("a", {{1, 1}, {3, 1}, {3, 3}}, {0, 3});
      },
      [&] {
        made->add_line("a", {1, 1}, {3, 3}, {0, 3});
      },
      [&] { made->add_mask("a", out(mask)); },
      [&] { made->propagate("a"); },
      [&] { made->undo(); },
      [&] { made->redo(); },
      [&] { static_cast<void>(made->undo_steps()); },
      [&] { static_cast<void>(made->redo_steps()); },
      [&] { made->remove("a"); },
      [&] { made->reset(); },
      [&] { made->lock("a"); },
      [&] { static_cast<void>(made->objects()); },
      [&] { made->mask("a", out(mask)); },
      [&] { made->labels(out(mask)); },
      [&] { static_cast<void>(made->encoding()); },
      [&] { made->save(path); },
      [&] { made->load(path); },
  };
  const auto code = testing::in_a_child([&] {
    int refused = 0, number = 0;
    for (const auto& call : calls) {
      ++number;
      if (raised<Unsupported>(call).find("fork") == std::string::npos) refused = number;
    }
    made.reset();
    return refused;
  });
  if (!code) GTEST_SKIP() << "no fork";
  EXPECT_EQ(*code, 0) << "the call of that number was not refused";
}

// Without the check, the call would wait for the lock that it holds itself.
TEST_F(SessionFaultTest, ACallbackOfItsOwnCallIsRefused) {
  const auto made = session();
  made->add_box("a", Box{8, 4, 23, 15}, {0, 3});
  const auto before = mask_of(*made, "a");
  PropagateOptions options;
  options.progress = [&](const VolumeProgress&) { static_cast<void>(made->objects()); };
  EXPECT_NE(testing::raised<Unsupported>([&] { made->propagate("a", options); }).find("callback"), std::string::npos);
  EXPECT_EQ(mask_of(*made, "a"), before);
  EXPECT_EQ(made->objects().size(), 1u);
}

}  // namespace
}  // namespace medsam
