// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/backend.hpp"

#include <gtest/gtest.h>

#include "medsam/error.hpp"

namespace medsam {
namespace {

TEST(ElementCount, AShapeThatNoMemoryHolds) {
  EXPECT_EQ(backends::element_count({2, 3}), 6);
  EXPECT_THROW(backends::element_count({std::int64_t{1} << 40, std::int64_t{1} << 40}), InvalidArgument);
}

}  // namespace
}  // namespace medsam
