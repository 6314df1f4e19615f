// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <string>

namespace medsam {
namespace {

// FIPS 180-4's examples.
TEST(Sha256, GivesTheStandardsDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfPiecesIsThatOfTheWhole) {
  const std::string content((std::size_t{1} << 20) + 17, 'x');
  Sha256 sha;
  std::size_t begin = 0;
  for (const std::size_t end : {std::size_t{0}, std::size_t{63}, std::size_t{64}, content.size()}) {
    sha.update(content.data() + begin, end - begin);
    begin = end;
  }
  EXPECT_EQ(sha.hex(), sha256_hex(content));
}

}  // namespace
}  // namespace medsam
