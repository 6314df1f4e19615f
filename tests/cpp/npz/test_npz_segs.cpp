// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Answers: what is written, and that it is written whole or not at all. NumPy reads them in
// tests/python/cli/run/test_run.py.
#include "npz/segs_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "medsam/error.hpp"
#include "npz/output_file.hpp"
#include "npz/zip_reader.hpp"
#include "support/file_size_limit.hpp"
#include "support/npz_maker.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::npz {
namespace {

namespace fs = std::filesystem;
using medsam::testing::FileSizeLimit;
using medsam::testing::TemporaryFolder;
using medsam::testing::write_file;

std::string read_file(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

std::size_t files_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

Case volume_case(std::size_t boxes = 1) {
  const std::string npy = medsam::testing::npy("|u1", "(3, 40, 50)", std::string(6000, '\0'));
  Bytes content(npy.size());
  std::memcpy(content.data(), npy.data(), npy.size());
  Case c(NpyArray(std::move(content), "imgs"));
  c.is_volume = true;
  c.depth = 3;
  c.height = 40;
  c.width = 50;
  c.boxes3d.resize(boxes);
  return c;
}

Segs random_segs(std::size_t boxes = 1) {
  Segs segs(volume_case(boxes));
  std::mt19937 random(3);
  for (std::size_t i = kNpyHeaderBytes; i < segs.npy().size(); ++i) {
    segs.npy().data()[i] = static_cast<std::uint8_t>(random());
  }
  return segs;
}

TEST(SegsFile, IsReadBackAsWritten) {
  const TemporaryFolder folder;
  for (const Zip64 zip64 : {Zip64::when_needed, Zip64::always}) {
    const Segs segs = random_segs();
    write_segs(folder.path("a.npz"), segs, zip64);
    const ZipReader zip(folder.path("a.npz"));
    ASSERT_EQ(zip.entries().size(), 1U);
    const NpyArray array(zip.read(*zip.find("segs.npy"), 1 << 20), "segs");
    EXPECT_EQ(array.describe(), "uint16 (3, 40, 50)");
    EXPECT_EQ(std::memcmp(array.data(), segs.volume().data, 12000), 0);
    EXPECT_TRUE(is_segs_file(folder.path("a.npz")));
  }
  EXPECT_EQ(files_in(folder.path()), 1U);  // the second one replaced the first, and no temporary is left
}

TEST(SegsFile, LabelsAreNeverNarrower) {
  EXPECT_EQ(Segs(volume_case(65535)).volume().type, LabelType::u16);
  const Segs wide = random_segs(65536);
  EXPECT_EQ(wide.volume().type, LabelType::u32);
  EXPECT_EQ(wide.volume().row_stride, 200);
  const TemporaryFolder folder;
  write_segs(folder.path("a.npz"), wide);
  const ZipReader zip(folder.path("a.npz"));
  EXPECT_EQ(NpyArray(zip.read(zip.entries()[0], 1 << 20), "segs").describe(), "uint32 (3, 40, 50)");
}

TEST(SegsFile, SameLabelsSameBytes) {
  const TemporaryFolder folder;
  write_segs(folder.path("a.npz"), random_segs());
  write_segs(folder.path("b.npz"), random_segs());
  EXPECT_EQ(read_file(folder.path("a.npz")), read_file(folder.path("b.npz")));
}

TEST(SegsFile, AFullDiskLeavesWhatWasThere) {
  if (!medsam::testing::kPosix) GTEST_SKIP() << medsam::testing::kNoPosix;
  const TemporaryFolder folder;
  write_file(folder.path("a.npz"), "before");
  {
    const FileSizeLimit limit(1000);
    for (const char* name : {"a.npz", "new.npz"}) {
      try {
        write_segs(folder.path(name), random_segs());
        ADD_FAILURE() << "more than 1000 bytes were written";
      } catch (const Unsupported& e) {
        EXPECT_NE(std::string(e.what()).find("cannot be written"), std::string::npos) << e.what();
      }
    }
  }
  EXPECT_EQ(read_file(folder.path("a.npz")), "before");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(SegsFile, AnUnusableTargetLeavesNothing) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_segs(folder.path("absent/a.npz"), random_segs()), Unsupported);
  fs::create_directories(folder.path("taken.npz/x"));
  EXPECT_THROW(write_segs(folder.path("taken.npz"), random_segs()), Unsupported);  // rename fails
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(SegsFile, KnowsAnAnswerFromOtherFiles) {
  const TemporaryFolder folder;
  write_file(folder.path("text.npz"), "text");
  write_file(folder.path("case.npz"), medsam::testing::case_bytes(medsam::testing::small_image(), ""));
  write_segs(folder.path("a.npz"), random_segs());
  const std::string whole = read_file(folder.path("a.npz"));
  write_file(folder.path("half.npz"), whole.substr(0, whole.size() / 2));
  for (const char* name : {"text.npz", "case.npz", "half.npz", "absent.npz"}) {
    EXPECT_FALSE(is_segs_file(folder.path(name))) << name;
  }
}

}  // namespace
}  // namespace medsam::npz
