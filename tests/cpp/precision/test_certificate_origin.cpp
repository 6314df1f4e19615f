// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whose word a certificate is: the project's, this machine's, or that of whoever wrote the bundle.
#include "precision/certificate_origin.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "bundle/bundle.hpp"
#include "support/engine_test.hpp"

namespace medsam {
namespace {

class OriginTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    certificate_ = {{"precision", "bf16"},
                    {"stages", {{"encoder", "bf16"}, {"decoder", "f32"}}},
                    {"model_hash", read_bundle(bundle_).model_hash},
                    {"backend", "fake 1"},
                    {"device", "CPU"},
                    {"measured",
                     {{"images", 40},
                      {"agreement_mean", 1.0},
                      {"agreement_worst", 1.0},
                      {"truth_f32", nullptr},
                      {"truth", nullptr},
                      {"worst_loss", nullptr}}}};
    write();
    options_.precision = "auto";
  }
  void write() {
    nlohmann::json manifest = testing::tiny_manifest();
    manifest["certificates"].push_back(certificate_);
    testing::write_tiny_bundle(bundle_, manifest);
  }
  void remember(const std::string& text) {
    const std::string file = Engine(bundle_, options_).info().certificates_file;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    testing::write_file(file, text);
  }
  [[nodiscard]] std::string precision() const { return Engine(bundle_, options_).info().precision; }
  [[nodiscard]] CertificateOrigin origin() const { return Engine(bundle_, options_).info().certificates.at(0).origin; }
  nlohmann::json certificate_;
};

TEST_F(OriginTest, OneThatAnybodyWroteIsTheBundlesOwnWord) {
  const CertificateInfo found = Engine(bundle_, options_).info().certificates.at(0);
  EXPECT_EQ(found.origin, CertificateOrigin::bundle);
  EXPECT_EQ(found.encoder + "/" + found.decoder, "bf16/f32");
  EXPECT_NE(found.obstacle.find("the bundle's own word"), std::string::npos);
  EXPECT_EQ(found.images, certificate_["measured"]["images"].get<std::int64_t>());
  EXPECT_EQ(found.agreement_mean, certificate_["measured"]["agreement_mean"].get<double>());
  EXPECT_EQ(found.agreement_worst, 1.0);
  EXPECT_EQ(precision(), "f32");
  options_.trust_bundle_certificates = true;
  EXPECT_EQ(precision(), "bf16");
  EXPECT_EQ(Engine(bundle_, options_).info().certificates.at(0).obstacle, "");
}

TEST_F(OriginTest, OneThatWasMeasuredHereIsKnownAgain) {
  remember(nlohmann::json::array({certificate_}).dump(2));
  EXPECT_EQ(origin(), CertificateOrigin::machine);
  EXPECT_EQ(precision(), "bf16");
  certificate_["measured"]["images"] = 41;  // another one
  write();
  EXPECT_EQ(origin(), CertificateOrigin::bundle);
  EXPECT_EQ(precision(), "f32");
  for (const char* damaged : {"", "[", "{}", "null", "[1, 2]"}) {
    remember(damaged);
    EXPECT_EQ(origin(), CertificateOrigin::bundle) << damaged;
  }
}

TEST_F(OriginTest, TheProjectsAreCompiledIn) {
  const auto shipped = nlohmann::json::parse(
      std::ifstream(MEDSAM_ENGINE_TEST_DATA "/../../tools/medsam_engine_tools/bundle/certificates.json"));
  ASSERT_FALSE(shipped.empty());
  for (const nlohmann::json& one : shipped) {
    certificate_ = one;
    write();
    EXPECT_EQ(origin(), CertificateOrigin::project);
    EXPECT_EQ(precision(), "f32") << "of another model";
    certificate_["measured"]["images"] = 1000;
    write();
    EXPECT_EQ(origin(), CertificateOrigin::bundle);
  }
}

}  // namespace
}  // namespace medsam
