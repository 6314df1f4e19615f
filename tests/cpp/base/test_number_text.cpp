// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/number_text.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace medsam {
namespace {

TEST(NumberText, ExactTextTellsEachNumberFromItsNeighbors) {
  for (const double value : {0.1, 0.7, 1.0, 0.9765625, 1.0 / 3, 1e-7, 123456.789}) {
    const double next = std::nextafter(value, 2 * value);
    EXPECT_EQ(read_number(exact_text(value)), value);
    EXPECT_EQ(read_number(exact_text(next)), next);
  }
  EXPECT_EQ(exact_text(0.7), "0.7");
}

TEST(NumberText, ReadsDecimalNumbersAlone) {
  EXPECT_EQ(read_number("-12.5e1"), -125.0);
  for (const char* text : {"", " 1", "+1", "0x10", "1 ", "1,5", "1e999", "one"})
    EXPECT_FALSE(read_number(text)) << text;
}

}  // namespace
}  // namespace medsam
