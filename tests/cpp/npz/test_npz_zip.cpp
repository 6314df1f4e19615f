// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The ZIP reader on files that are cut, bent or forged: a clear error, never a crash, never a huge allocation.
#include <gtest/gtest.h>
#include <libdeflate.h>

#include <filesystem>

#include "medsam/error.hpp"
#include "npz/zip_reader.hpp"
#include "support/npz_maker.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::npz {
namespace {

using medsam::testing::ZipMaker;

constexpr std::uint64_t kMost = 1 << 20;

class ZipReaderTest : public ::testing::Test {
 protected:
  std::string save(const std::string& bytes) {
    medsam::testing::write_file(folder_.path("a.npz"), bytes);
    return folder_.path("a.npz");
  }
  std::string content(const std::string& bytes, const std::string& name = "a") {
    const ZipReader zip(save(bytes));
    const ZipEntry* entry = zip.find(name);
    if (entry == nullptr) throw InvalidArgument("no entry");
    const Bytes read = zip.read(*entry, kMost);
    return {reinterpret_cast<const char*>(read.data()), read.size()};
  }
  void expect_refused(const std::string& bytes, const std::string& words) {
    try {
      static_cast<void>(content(bytes));
      ADD_FAILURE() << "not refused; expected: " << words;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
    }
  }

  medsam::testing::TemporaryFolder folder_;
};

TEST_F(ZipReaderTest, ReadsStoredAndDeflated) {
  ZipMaker zip;
  const std::string text = "one two three one two three";
  zip.add("b", "other").add("a", text).add_deflated("c", text);
  zip.comment = "any comment";
  const std::string bytes = zip.bytes();
  EXPECT_EQ(content(bytes, "a"), text);
  EXPECT_EQ(content(bytes, "b"), "other");
  EXPECT_EQ(content(bytes, "c"), text);
  EXPECT_EQ(ZipReader(save(bytes)).find("d"), nullptr);
}

TEST_F(ZipReaderTest, EveryTruncationIsAnError) {
  const std::string whole = ZipMaker().add("a", "some content").add_deflated("b", std::string(1000, 'x')).bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(static_cast<void>(ZipReader(save(whole.substr(0, size)))), InvalidArgument) << size;
  }
}

TEST_F(ZipReaderTest, EveryChangedByteIsAnErrorOrWithoutEffect) {
  const std::string text = "some content, some more content, some content";
  const std::string whole = ZipMaker().add_deflated("a", text).bytes();
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {1, 0x80, 0xff}) {
      std::string bent = whole;
      bent[at] = static_cast<char>(bent[at] ^ change);
      try {
        EXPECT_EQ(content(bent), text) << at;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

TEST_F(ZipReaderTest, ChecksTheSum) {
  for (const bool deflated : {false, true}) {
    ZipMaker zip;
    deflated ? zip.add_deflated("a", "content") : zip.add("a", "content");
    zip.last().crc32 ^= 1;
    expect_refused(zip.bytes(), "CRC");
  }
}

TEST_F(ZipReaderTest, RefusesForgedSizesBeforeItAllocates) {
  ZipMaker ratio;
  ratio.add_deflated("a", std::string(100, 'x'));
  ratio.last().uncompressed = 1032 * ratio.last().compressed + 1;
  expect_refused(ratio.bytes(), "more than can be");
  ZipMaker stored;
  stored.add("a", "x").last().uncompressed = 2;
  expect_refused(stored.bytes(), "more than can be");
  ZipMaker longer;
  longer.add("a", "x");
  longer.last().compressed = longer.last().uncompressed = 5000;
  expect_refused(longer.bytes(), "outside the file");
  ZipMaker large;
  large.add("a", std::string(kMost + 1, 'x'));
  expect_refused(large.bytes(), "expected at most 1048576");
  for (const std::uint32_t wrong : {99U, 101U}) {
    ZipMaker inexact;
    inexact.add_deflated("a", std::string(100, 'x')).last().uncompressed = wrong;
    expect_refused(inexact.bytes(), "damaged");
  }
}

TEST_F(ZipReaderTest, RefusesForgedPlaces) {
  ZipMaker offset;
  offset.add("a", "x").last().offset = 4000000000U;
  expect_refused(offset.bytes(), "outside the file");
  ZipMaker header;
  header.add("b", "y").add("a", "x").last().offset = 1;
  expect_refused(header.bytes(), "garbled");
}

TEST_F(ZipReaderTest, RefusesOtherKinds) {
  ZipMaker encrypted;
  encrypted.add("a", "x").last().flags = 1;
  expect_refused(encrypted.bytes(), "encrypted");
  ZipMaker bzip2;
  bzip2.add("a", "x").last().method = 12;
  expect_refused(bzip2.bytes(), "method 12");
  expect_refused(ZipMaker().add("a", "x").add("a", "y").bytes(), "twice");
  EXPECT_THROW(ZipReader(folder_.path("absent.npz")), InvalidArgument);
  EXPECT_THROW(ZipReader(folder_.path("")), InvalidArgument);  // a folder
}

std::string le(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}

TEST_F(ZipReaderTest, ReadsZip64Fields) {
  ZipMaker zip;
  zip.add("a", "content");
  // Another extra field first, then the two sizes; the local header keeps unset ones.
  zip.last().extra = le(0x7875, 2) + le(3, 2) + "abc" + le(1, 2) + le(16, 2) + le(7, 8) + le(7, 8);
  zip.last().compressed = zip.last().uncompressed = 0xffffffff;
  EXPECT_EQ(content(zip.bytes()), "content");
  zip.last().extra = le(1, 2) + le(8, 2) + le(7, 8);
  expect_refused(zip.bytes(), "garbled");
  zip.last().extra = le(1, 2) + le(99, 2) + le(7, 8);
  expect_refused(zip.bytes(), "garbled");
  zip.last().extra.clear();
  expect_refused(zip.bytes(), "outside the file");
}

TEST_F(ZipReaderTest, ReadsTheZip64EndRecord) {
  ZipMaker plain;
  const std::string without = plain.add("a", "content").bytes();
  const std::size_t directory = without.size() - 22 - 46 - 1;
  const auto record = [&](std::uint64_t offset) {
    const std::string end = le(0x06064b50, 4) + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 8) + le(1, 8) + le(1, 8) +
                            le(47, 8) + le(offset, 8);
    return end + le(0x07064b50, 4) + le(0, 4) + le(directory + 47, 8) + le(1, 4);
  };
  ZipMaker zip;
  zip.add("a", "content").before_end = record(directory);
  EXPECT_EQ(content(zip.bytes()), "content");
  for (const std::uint64_t offset : {std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    zip.before_end = record(offset);
    expect_refused(zip.bytes(), "outside the file");
  }
}

}  // namespace
}  // namespace medsam::npz
