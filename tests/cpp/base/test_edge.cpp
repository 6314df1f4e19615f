// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/edge.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "medsam/error.hpp"
#include "support/raised.hpp"

namespace medsam {
namespace {

TEST(Edge, AForeignErrorBecomesOneOfTheLibrarys) {
  EXPECT_NE(testing::raised<BackendError>([] {
              at_edge("here", [] { throw std::runtime_error("a foreign one"); });
            }).find("here: a foreign one"),
            std::string::npos);
}

}  // namespace
}  // namespace medsam
