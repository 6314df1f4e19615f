// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What is OpenVINO's own: the compiled-model cache.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "backends/backend.hpp"
#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "medsam/error.hpp"
#include "support/file_size_limit.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::backends {
namespace {

namespace fs = std::filesystem;

class CompiledModelCache : public ::testing::Test {
 protected:
  void SetUp() override { bundle_ = read_bundle(testing::write_tiny_bundle(folder_.path("bundle"))); }

  std::vector<fs::path> blobs() const {
    std::vector<fs::path> found;
    const fs::path compiled = folder_.path("cache/compiled");
    if (fs::exists(compiled)) {
      for (const auto& entry : fs::directory_iterator(compiled)) found.push_back(entry.path());
    }
    return found;
  }
  std::shared_ptr<const CompiledModel> compile_on(const Backend& backend, int threads = 0) {
    return backend.compile(bundle_.model("encoder"), {"f32", threads, {{1, 3, 32, 32}}}, cache_);
  }
  std::shared_ptr<const CompiledModel> compile(int threads = 0) { return compile_on(*backend_, threads); }
  static float run(const CompiledModel& model) {
    const auto request = model.create_request();
    auto* input = static_cast<float*>(request->input(0, {1, 3, 32, 32}));
    std::fill(input, input + 3 * 32 * 32, 0.5f);
    return request->run().at(0)->host()[0];
  }

  testing::TemporaryFolder folder_;
  CacheFolder cache_{folder_.path("cache"), nullptr};
  std::unique_ptr<Backend> backend_ = create_backend("CPU");
  Bundle bundle_;
};

// Whether a forked child of this process gets the error that says so from `act`.
template <class F>
bool refused_after_fork(const F& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // what this is about is a hang
    int code = 1;
    try {
      act();
    } catch (const Unsupported& e) {
      code = std::string(e.what()).find("forked") == std::string::npos ? 2 : 0;
    } catch (...) {
      code = 3;
    }
    ::_exit(code);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(CompiledModelCache, AChildThatWasForkedAfterTheFirstUseIsRefused) {
  compile();
  EXPECT_TRUE(refused_after_fork([&] { compile(); }));
  EXPECT_TRUE(refused_after_fork([&] { compile_on(*create_backend("CPU")); }));
  EXPECT_TRUE(refused_after_fork([] { create_backend("AUTO"); }));
  // Where no model and no backend is left, a child that went on would wait for ever.
  run(*compile());
  backend_.reset();
  EXPECT_TRUE(refused_after_fork([&] { compile_on(*create_backend("CPU")); }));
}

TEST_F(CompiledModelCache, TheSecondCompileTakesTheStoredModel) {
  EXPECT_FLOAT_EQ(run(*compile()), 0.5f);
  ASSERT_EQ(blobs().size(), 1u);
  fs::remove(bundle_.model("encoder").path);  // so that only the stored model can answer
  EXPECT_FLOAT_EQ(run(*compile()), 0.5f);
}

TEST_F(CompiledModelCache, AnotherModelOrSettingIsAnotherEntry) {
  compile();
  compile(1);
  ModelFile other = bundle_.model("encoder");
  testing::write_file(folder_.path("bundle/weights"), "x");
  other.data.push_back({folder_.path("bundle/weights"), 1, sha256_hex("x")});
  static_cast<void>(backend_->compile(other, {"f32", 0, {{1, 3, 32, 32}}}, cache_));
  static_cast<void>(backend_->compile(bundle_.model("encoder"), {"f32", 0, {}}, cache_));
  EXPECT_EQ(blobs().size(), 4u);
}

TEST_F(CompiledModelCache, ATornOrChangedEntryIsCompiledAgain) {
  compile();
  const fs::path blob = blobs().at(0);
  const auto whole = fs::file_size(blob);
  std::ifstream in(blob, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  for (const std::uintmax_t size :
       {std::uintmax_t{0}, std::uintmax_t{100}, std::uintmax_t{4096}, whole / 2, whole - 1}) {
    fs::resize_file(blob, size);
    EXPECT_FLOAT_EQ(run(*compile()), 0.5f) << size;
    EXPECT_GT(fs::file_size(blob), 4096u) << "written anew";
  }
  std::string flipped = content.str();
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  testing::write_file(blob.string(), flipped);
  EXPECT_FLOAT_EQ(run(*compile()), 0.5f);
}

TEST_F(CompiledModelCache, AFullDiskLeavesNoHalfEntry) {
  {
    const testing::FileSizeLimit limit(5000);
    EXPECT_FLOAT_EQ(run(*compile()), 0.5f);
  }
  EXPECT_TRUE(blobs().empty());
  EXPECT_FLOAT_EQ(run(*compile()), 0.5f);
  EXPECT_EQ(blobs().size(), 1u);
}

TEST(OpenVinoDevices, AnAbsentOneIsUnsupportedInOneLineThatNamesThoseThatAreThere) {
  for (const char* device : {"GPU", "NPU", "GPU.7"}) {
    try {
      const auto backend = create_backend(device);
      EXPECT_NE(backend->device_name(), "") << "this machine has " << device;
    } catch (const Unsupported& e) {
      const std::string text = e.what();
      EXPECT_NE(text.find(device), std::string::npos) << text;
      EXPECT_NE(text.find("OpenVINO finds only CPU"), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
}

TEST(OpenVinoDevices, AutoIsOneDeviceForTheEnginesLife) {
  const auto backend = create_backend("AUTO");
  EXPECT_TRUE(backend->device_id() == "CPU" || backend->device_id() == "GPU") << backend->device_id();
  EXPECT_EQ(create_backend("CPU")->device_id(), "CPU");
  const auto cpu = create_backend("CPU");
  EXPECT_EQ(backend->library(), cpu->library());
  EXPECT_TRUE(backend->native("f32"));
  bool gpu = true;
  try {
    static_cast<void>(create_backend("GPU"));
  } catch (const Unsupported&) {
    gpu = false;
  }
  EXPECT_EQ(backend->device_name() == cpu->device_name(), !gpu);
}

TEST(OpenVinoDevices, AnotherNameIsNotOpenVinos) {
  for (const char* device : {"CPUS", "CPU.0", "GPUS", "AUTO:GPU", "HETERO:CPU", ""}) {
    EXPECT_THROW(static_cast<void>(create_backend(device)), Unsupported) << device;
  }
}

}  // namespace
}  // namespace medsam::backends
