// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The stored choice of `medsam-engine tune`: used where it was measured, and nowhere else.
#include "precision/tuning.hpp"

#include <gtest/gtest.h>

#include "medsam/error.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/stand_in_trial.hpp"
#include "support/system.hpp"

namespace medsam {
namespace {

using nlohmann::json;

json certificate(const std::string& hash, const std::string& encoder, const std::string& decoder) {
  json content;
  content["precision"] = encoder;
  content["stages"]["encoder"] = encoder;
  content["stages"]["decoder"] = decoder;
  content["model_hash"] = hash;
  content["backend"] = "fake 1";
  content["device"] = "CPU";
  content["measured"] = {{"images", 40}, {"objects", 99}, {"agreement_mean", 0.995}, {"agreement_worst", 0.9}};
  for (const char* field : {"truth_f32", "truth", "worst_loss"}) content["measured"][field] = nullptr;
  return content;
}

class TuningTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    options_.trust_bundle_certificates = true;
    manifest_ = testing::tiny_manifest();
    hash_ = read_bundle(bundle_).model_hash;
    manifest_["certificates"].push_back(certificate(hash_, "bf16", "bf16"));
    manifest_["certificates"].push_back(certificate(hash_, "f32", "bf16"));
    testing::write_tiny_bundle(bundle_, manifest_);
    options_.precision = "auto";
    options_.log = [this](LogLevel level, const std::string& text) {
      if (level == LogLevel::warning) logged_ += text + "\n";
    };
  }

  EngineInfo info() {
    logged_.clear();
    testing::fake_backend().take_compiled();
    return Engine(bundle_, options_).info();
  }
  json choice(const std::string& encoder, const std::string& decoder, int threads) {
    const EngineInfo about = info();
    return {{"schema_version", 1},
            {"model_hash", about.model_hash},
            {"engine", version()},
            {"backend", about.backend},
            {"device", "CPU"},
            {"machine", about.machine},
            {"stages", {{"encoder", encoder}, {"decoder", decoder}}},
            {"threads", threads},
            {"measured", {{"any", "thing"}}}};
  }
  void store(const std::string& content) {
    const std::filesystem::path file = info().tuning_file;
    std::filesystem::create_directories(file.parent_path());
    testing::write_file(file.string(), content);
  }

  json manifest_;
  std::string hash_, logged_;
};

TEST_F(TuningTest, TheStoredChoiceIsUsed) {
  EXPECT_EQ(info().encoder_precision, "bf16") << "without one, what covers most";
  EXPECT_FALSE(info().tuned);
  EXPECT_EQ(info().certified, (std::vector<std::string>{"f32/f32", "bf16/bf16", "f32/bf16"}));
  store(choice("f32", "bf16", 3).dump());
  const EngineInfo tuned = info();
  EXPECT_TRUE(tuned.tuned);
  EXPECT_EQ(tuned.encoder_precision, "f32");
  EXPECT_EQ(tuned.decoder_precision, "bf16");
  EXPECT_EQ(tuned.threads, 3);
  EXPECT_EQ(logged_, "");
  const std::set<std::string> expected{"encoder.onnx f32 3", "decoder.onnx bf16 3", "decoder_mask.onnx bf16 3"};
  const std::set<std::string> compiled = testing::fake_backend().take_compiled();
  EXPECT_TRUE(std::includes(expected.begin(), expected.end(), compiled.begin(), compiled.end()));
  EXPECT_EQ(compiled.count("encoder.onnx f32 3"), 1u);
}

TEST_F(TuningTest, AutoIsTheDeviceItComesTo) {
  store(choice("f32", "bf16", 3).dump());
  options_.device = "AUTO";
  EXPECT_TRUE(info().tuned) << "the CPU's choice";
  std::filesystem::remove(info().tuning_file);
  EXPECT_EQ(info().encoder_precision, "bf16") << "the CPU's certificate";
  testing::fake_backend().finds_gpu = true;
  EXPECT_EQ(info().encoder_precision, "f32") << "nobody measured on the GPU";
  manifest_["certificates"].push_back(certificate(hash_, "f32", "bf16"));
  manifest_["certificates"].back()["device"] = "GPU";
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_EQ(info().decoder_precision, "bf16");
  testing::fake_backend().finds_gpu = false;
  manifest_["certificates"].back()["device"] = "AUTO";
  manifest_["certificates"].erase(0);
  manifest_["certificates"].erase(0);
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_EQ(info().decoder_precision, "f32") << "a measurement is of one device";
}

TEST_F(TuningTest, F32CanBeTheChoice) {
  store(choice("f32", "f32", 0).dump());
  EXPECT_TRUE(info().tuned);
  EXPECT_EQ(info().precision, "f32");
}

TEST_F(TuningTest, TheCallerComesFirst) {
  store(choice("f32", "bf16", 3).dump());
  options_.threads = 2;
  EXPECT_EQ(info().threads, 2);
  EXPECT_EQ(info().encoder_precision, "f32");
  options_.threads = 0;
  options_.precision = "f32";
  EXPECT_FALSE(info().tuned);
  EXPECT_EQ(info().decoder_precision, "f32");
  EXPECT_EQ(info().threads, 0) << "the threads were measured with another precision";
  options_.precision = "bf16";
  EXPECT_FALSE(info().tuned);
  EXPECT_EQ(info().encoder_precision, "bf16");
}

TEST_F(TuningTest, NeverSelectsWhatIsNotCertified) {
  for (const auto& [encoder, decoder] : {std::pair{"bf16", "f32"}, {"f16", "f16"}, {"int8", "f32"}, {"x", "f32"}}) {
    store(choice(encoder, decoder, 3).dump());
    const EngineInfo about = info();
    EXPECT_FALSE(about.tuned) << encoder;
    EXPECT_EQ(about.decoder_precision, "bf16") << "as without a choice";
    EXPECT_EQ(about.threads, 0);
    EXPECT_NE(logged_.find("is not used: no certificate"), std::string::npos) << logged_;
  }
  // A choice outlives its certificate.
  store(choice("bf16", "bf16", 3).dump());
  EXPECT_TRUE(info().tuned);
  manifest_["certificates"] = json::array();
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_FALSE(info().tuned);
  EXPECT_EQ(info().precision, "f32");
  EXPECT_NE(logged_.find("is not used"), std::string::npos);
}

TEST_F(TuningTest, AnUnusableFileIsReportedAndNotUsed) {
  const json good = choice("f32", "bf16", 3);
  std::vector<std::string> broken = {"", "{", "[1]", "null"};
  for (const auto& [field, value] : good.items()) {
    if (field == "measured") continue;
    json changed = good;
    changed.erase(field);
    broken.push_back(changed.dump());
    changed[field] = value.is_string() ? json("another") : json(-7);
    broken.push_back(changed.dump());
  }
  json surprise = good;
  surprise["surprise"] = 1;
  broken.push_back(surprise.dump());
  for (const std::string& content : broken) {
    store(content);
    const EngineInfo about = info();
    EXPECT_FALSE(about.tuned) << content;
    EXPECT_EQ(about.encoder_precision, "bf16") << content;
    EXPECT_NE(logged_.find("tuned choice"), std::string::npos) << content;
    EXPECT_EQ(logged_.find('\n'), logged_.size() - 1) << "one line: " << logged_;
  }
  store(good.dump());
  EXPECT_TRUE(info().tuned);
}

TEST_F(TuningTest, AnotherModelLibraryDeviceOrMachineHasAnotherFile) {
  const TuningKey key{"hash", "0.1.0", "fake 1", "CPU", "machine"};
  const auto with = [&](auto change) {
    TuningKey other = key;
    change(other);
    return tuning_entry(other);
  };
  const std::set<std::string> entries = {tuning_entry(key),
                                         with([](TuningKey& k) { k.model_hash = "other"; }),
                                         with([](TuningKey& k) { k.engine = "0.2.0"; }),
                                         with([](TuningKey& k) { k.backend = "fake 2"; }),
                                         with([](TuningKey& k) { k.device = "GPU"; }),
                                         with([](TuningKey& k) { k.machine = "other"; })};
  EXPECT_EQ(entries.size(), 6u);
  // So the choice for one bundle is not seen by an engine of another.
  store(choice("f32", "bf16", 3).dump());
  manifest_["models"].erase("decoder_mask");
  manifest_["prompt"]["mask_input"] = nullptr;
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_FALSE(info().tuned);
  EXPECT_EQ(logged_, "");
}

TEST_F(TuningTest, WithoutACacheFolderThereIsNone) {
  options_.cache_dir = "none";
  EXPECT_EQ(info().tuning_file, "");
  EXPECT_FALSE(info().tuned);
  EXPECT_EQ(logged_, "");
}

// The int8 encoder: a file of its own, of its own certificate.
class Int8Test : public TuningTest {
 protected:
  void SetUp() override {
    TuningTest::SetUp();
    manifest_["quantized"]["encoder"] = manifest_["models"]["encoder"];
    manifest_["quantized"]["encoder"]["file"] = "encoder.int8.onnx";
    manifest_["quantized"]["encoder"]["rest"] = "f32";
    std::filesystem::copy_file(bundle_ + "/encoder.onnx", bundle_ + "/encoder.int8.onnx");
    json measured = certificate(hash_, "int8", "f32");
    measured["quantized"]["encoder"] = manifest_["models"]["encoder"]["sha256"];
    manifest_["certificates"] = json::array();
    manifest_["certificates"].push_back(measured);
    testing::write_tiny_bundle(bundle_, manifest_);
  }
};

TEST_F(Int8Test, RunsWhereItIsAskedForOrTuned) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;  // a shell script stands in for medsam-trial
  const testing::StandInTrial trial;
  EXPECT_EQ(info().precision, "f32") << "never by auto alone";
  EXPECT_EQ(info().model_hash, hash_) << "certificates of the other precisions stay";
  options_.precision = "int8";
  const EngineInfo int8 = info();
  EXPECT_EQ(int8.encoder_precision, "int8");
  EXPECT_EQ(int8.decoder_precision, "f32");
  EXPECT_EQ(testing::fake_backend().take_compiled().count("encoder.int8.onnx f32 0"), 1u);
  options_.precision = "auto";
  store(choice("int8", "f32", 0).dump());
  EXPECT_TRUE(info().tuned);
  EXPECT_EQ(info().encoder_precision, "int8");
  options_.precision = "f32";
  EXPECT_NE(info().fingerprint, int8.fingerprint);
}

// What the layers that are not int8 compute in changes an embedding's values.
TEST_F(Int8Test, ItsOtherLayersPrecisionIsInTheFingerprint) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;  // a shell script stands in for medsam-trial
  const testing::StandInTrial trial;
  options_.precision = "int8";
  options_.allow_uncertified = true;
  const std::string with_f32 = info().fingerprint;
  manifest_["quantized"]["encoder"]["rest"] = "bf16";
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_NE(info().fingerprint, with_f32);
}

TEST_F(Int8Test, ACertificateOfAnotherInt8EncoderDoesNotCount) {
  if (!testing::kPosix) GTEST_SKIP() << testing::kNoPosix;  // a shell script stands in for medsam-trial
  manifest_["certificates"][0]["quantized"]["encoder"] = std::string(64, '0');
  testing::write_tiny_bundle(bundle_, manifest_);
  options_.precision = "int8";
  EXPECT_THROW(info(), Unsupported);
  options_.allow_uncertified = true;
  const testing::StandInTrial trial;
  EXPECT_EQ(info().encoder_precision, "int8");
}

TEST_F(Int8Test, TheManifestIsReadStrictly) {
  const auto refused = [&](auto change) {
    json changed = manifest_;
    change(changed["quantized"]);
    testing::write_tiny_bundle(bundle_, changed);
    EXPECT_THROW(info(), ModelError) << changed["quantized"];
  };
  refused([](json& q) { q["decoder"] = q["encoder"]; });
  refused([](json& q) { q["encoder"]["rest"] = "int8"; });
  refused([](json& q) { q["encoder"].erase("rest"); });
  refused([](json& q) { q["encoder"]["file"] = "../encoder.onnx"; });
  refused([](json& q) { q["encoder"]["bytes"] = 7; });
  refused([](json& q) { q["encoder"]["outputs"][0]["shape"] = {-1, 4, 8, 9}; });
  refused([](json& q) { q["encoder"]["surprise"] = 1; });
}

TEST_F(Int8Test, ItsFileIsVerified) {
  manifest_["quantized"]["encoder"]["sha256"] = std::string(64, '0');
  testing::write_tiny_bundle(bundle_, manifest_);
  EXPECT_EQ(info().precision, "f32");
  options_.precision = "int8";
  options_.allow_uncertified = true;
  EXPECT_THROW(info(), ModelError);
}

}  // namespace
}  // namespace medsam
