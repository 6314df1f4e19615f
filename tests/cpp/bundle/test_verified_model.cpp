// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What was verified is what is loaded, whoever writes to the bundle's folder meanwhile.
#include "bundle/verified_model.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/sha256.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

#ifndef _WIN32
#include <fcntl.h>
#include <sys/mman.h>
#endif

namespace medsam {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;
using testing::write_tiny_bundle;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string flipped(std::string bytes) {
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  return bytes;
}

TEST(VerifyModel, FindsAChangedByte) {
  const TemporaryFolder folder;
  const Bundle bundle = read_bundle(write_tiny_bundle(folder.path("b")));
  const ModelFile& model = bundle.model("encoder");
  const CacheFolder cache(folder.path("cache"), nullptr);
  EXPECT_NO_THROW(verify_model(model, cache, false));
  testing::write_file(model.path, std::string(static_cast<std::size_t>(model.bytes), 'x'));
  EXPECT_THROW(verify_model(model, cache, false), ModelError) << "the stamp must not cover a new file";
  const CacheFolder none("none", nullptr);
  EXPECT_THROW(verify_model(model, none, false), ModelError);
}

TEST(VerifyModel, SkipsAFileItHasSeenUnlessForced) {
  const TemporaryFolder folder;
  const Bundle bundle = read_bundle(write_tiny_bundle(folder.path("b")));
  const CacheFolder cache(folder.path("cache"), nullptr);
  const ModelFile& model = bundle.model("encoder");
  verify_model(model, cache, false);
  ModelFile other = model;  // the same file under a hash it was not verified for is read again
  other.sha256 = sha256_hex("something else");
  EXPECT_THROW(verify_model(other, cache, false), ModelError);
  EXPECT_NO_THROW(verify_model(model, cache, false));
  EXPECT_NO_THROW(verify_model(model, cache, true));
}

class VerifiedModelTest : public ::testing::Test {
 protected:
  // The encoder with a file of weights that the graph does not use.
  ModelFile with_data(const std::string& data = "weights") {
    testing::write_file(bundle_ + "/encoder.onnx.data", data);
    ModelFile model = model_;
    model.data.push_back({bundle_ + "/encoder.onnx.data", 7, sha256_hex("weights")});
    return model;
  }
  TemporaryFolder folder_;
  std::string bundle_ = write_tiny_bundle(folder_.path("b"));
  ModelFile model_ = read_bundle(bundle_).model("encoder");
};

TEST_F(VerifiedModelTest, KeepsTheBytesThatWereHashed) {
  const std::string good = content(model_.path);
  const VerifiedModel verified(model_);
  EXPECT_EQ(verified.bytes(), good);
  EXPECT_EQ(content(verified.path()), good) << "what a runtime opens";
  // In place, as someone would who holds the file open: a mapping of the file would change with it.
  testing::write_file(model_.path, flipped(good));
  EXPECT_EQ(verified.bytes(), good);
  EXPECT_EQ(content(verified.path()), good);
#ifdef __linux__
  const platform::File file(::open(verified.path().c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_LT(::write(static_cast<int>(file.handle()), "x", 1), 0) << "sealed, for this process too";
#endif
}

TEST_F(VerifiedModelTest, KeepsWeightsBesideTheGraphInAFolderOfItsOwn) {
  const ModelFile model = with_data();
  std::string copy;
  {
    const VerifiedModel verified(model);
    testing::write_file(model.data[0].path, "WEIGHTS");
    copy = fs::path(verified.path()).parent_path().string();
    EXPECT_EQ(content(copy + "/encoder.onnx.data"), "weights");
    EXPECT_EQ(content(verified.path()), content(model.path));
    if (testing::kPosix) {
      EXPECT_EQ(testing::mode_of(copy), 0700U);
      EXPECT_EQ(testing::mode_of(copy + "/encoder.onnx.data"), 0600U);
    }
  }
  EXPECT_FALSE(fs::exists(copy)) << "removed with the object";
  EXPECT_THROW(VerifiedModel{model}, ModelError) << "the file was changed meanwhile";
}

TEST_F(VerifiedModelTest, AFaultLeavesNoFolderBehind) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;
  const std::string temporary = folder_.path("tmp");
  fs::create_directory(temporary);
  const char* before = std::getenv("TMPDIR");
  const std::string old = before == nullptr ? "" : before;
  testing::set_environment("TMPDIR", temporary);
  EXPECT_THROW(VerifiedModel{with_data("WEIGHTS")}, ModelError);
  EXPECT_TRUE(fs::is_empty(temporary));
  testing::set_environment("TMPDIR", folder_.path("absent"));
  EXPECT_THROW(VerifiedModel{with_data()}, BackendError);
  EXPECT_NO_THROW(VerifiedModel{model_}) << "which needs no temporary folder";
  before == nullptr ? testing::unset_environment("TMPDIR") : testing::set_environment("TMPDIR", old);
}

TEST_F(VerifiedModelTest, AFileOfAnotherLengthIsRefused) {
  const std::string good = content(model_.path);
  testing::write_file(model_.path, good.substr(1));
  EXPECT_THROW(VerifiedModel{model_}, ModelError);
  testing::write_file(model_.path, good + "x");
  EXPECT_THROW(VerifiedModel{model_}, ModelError);
}

TEST_F(VerifiedModelTest, WhatTheNameComesToStandForIsCheckedAgain) {
  fs::rename(model_.path, folder_.path("outside"));
  if (!testing::make_link(folder_.path("outside"), model_.path)) GTEST_SKIP() << "no links";
  EXPECT_THROW(VerifiedModel{model_}, ModelError) << "a link out of the folder, put there after the manifest was read";
  fs::remove(model_.path);
  if (!testing::make_fifo(model_.path)) GTEST_SKIP() << "no FIFOs";
  EXPECT_THROW(VerifiedModel{model_}, ModelError) << "a FIFO, which nobody writes to";
}

TEST_F(VerifiedModelTest, TwoFilesUnderEachOthersNamesAreAnotherModel) {
  ModelFile one = model_, other = model_;
  const std::string a = sha256_hex("a"), b = sha256_hex("b");
  one.data = {{"x/a.bin", 1, a}, {"x/b.bin", 1, b}};
  other.data = {{"x/b.bin", 1, a}, {"x/a.bin", 1, b}};
  EXPECT_NE(one.content_hash(), other.content_hash());
  other.data = {{"x/a.bin", 2, a}, {"x/b.bin", 1, b}};
  EXPECT_NE(one.content_hash(), other.content_hash());
  other.data = {{"y/a.bin", 1, a}, {"y/b.bin", 1, b}};
  EXPECT_EQ(one.content_hash(), other.content_hash()) << "the folder is no part of it";
}

class ExchangedFiles : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    encoder_ = bundle_ + "/encoder.onnx";
    good_ = content(encoder_);
  }
  void TearDown() override { testing::fake_backend().before_reading = nullptr; }
  std::string encoder_, good_;
};

TEST_F(ExchangedFiles, BetweenTheManifestAndTheCompilationAreRefused) {
  testing::fake_backend().before_reading = [&](const std::string& path) {
    if (path != encoder_) return;
    testing::write_file(encoder_ + ".new", flipped(good_));
    fs::rename(encoder_ + ".new", encoder_);
  };
  EXPECT_THROW(Engine(bundle_, options_), ModelError);
  testing::fake_backend().before_reading = nullptr;
  testing::write_file(encoder_, good_);
  EXPECT_NO_THROW(Engine(bundle_, options_));
}

#ifndef _WIN32
TEST_F(ExchangedFiles, AreHashedWhereTheyAreCompiledWhateverTheirTimesSay) {
  const int file = ::open(encoder_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(file, 0);
  void* mapped = ::mmap(nullptr, good_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* byte = static_cast<volatile char*>(mapped) + good_.size() / 2;
  *byte = good_[good_.size() / 2];  // the page is dirty now: another write to it is not noted in the file's times
  EXPECT_NO_THROW(Engine(bundle_, options_));
  *byte = static_cast<char>(*byte ^ 1);
  EXPECT_THROW(Engine(bundle_, options_), ModelError);
  ::munmap(mapped, good_.size());
  ::close(file);
}
#endif

}  // namespace
}  // namespace medsam
