// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/modality.hpp"

#include <gtest/gtest.h>

#include "medsam/error.hpp"
#include "npz/case.hpp"

namespace medsam {
namespace {

TEST(Modality, TakesEveryUsualSpelling) {
  for (const char* word : {"X-Ray", "xray", "XRAY", "XRay", "CXR"}) EXPECT_EQ(canonical_modality(word), "XRay") << word;
  EXPECT_EQ(canonical_modality("Microscope"), "Microscopy");
  EXPECT_EQ(canonical_modality("Mammo"), "Mammography");
  for (const std::string& name : modality_names()) EXPECT_EQ(canonical_modality(name), name);
  EXPECT_EQ(canonical_modality(""), std::nullopt);
  EXPECT_EQ(canonical_modality("XXray"), std::nullopt);
  EXPECT_EQ(modality_names().size(), 11u);
}

TEST(Modality, AModelThatDoesNotAskTakesAnyName) {
  EXPECT_EQ(route({}, "").expert, "");
  EXPECT_EQ(route({}, "CT").index, -1);
  EXPECT_THROW(static_cast<void>(route({}, "CAT")), InvalidArgument) << "a misspelt name is never ignored";
}

TEST(Modality, AnIndexedModelNeedsOneOfItsOwn) {
  const ModalityRules rules{{{"CT", 0}, {"XRay", 3}}, {}, std::nullopt};
  EXPECT_EQ(route(rules, "x-ray").index, 3);
  EXPECT_THROW(static_cast<void>(route(rules, "")), InvalidArgument);
  EXPECT_THROW(static_cast<void>(route(rules, "PET")), InvalidArgument);
}

TEST(Modality, ExpertsFallBackOnlyWhereTheBundleSaysSo) {
  ModalityRules rules{{}, {{"CT", "3D"}, {"PET", "3D"}, {"US", "US"}}, std::nullopt};
  EXPECT_EQ(route(rules, "pet").expert, "3D");
  EXPECT_THROW(static_cast<void>(route(rules, "OCT")), InvalidArgument);
  EXPECT_THROW(static_cast<void>(route(rules, "")), InvalidArgument);
  rules.fallback = "general";
  EXPECT_EQ(route(rules, "OCT").expert, "general");
  EXPECT_EQ(route(rules, "").expert, "general");
  EXPECT_THROW(static_cast<void>(route(rules, "ultra-sound-ish")), InvalidArgument);
}

TEST(CaseModality, IsTheFileNamesSecondField) {
  EXPECT_EQ(npz::case_modality("2DBox_X-Ray_0001.npz"), "XRay");
  EXPECT_EQ(npz::case_modality("3DBox_PET_0001.npz"), "PET");
  EXPECT_EQ(npz::case_modality("2DBox_US.npz"), "US");
  EXPECT_EQ(npz::case_modality("2DBox_Something_0001.npz"), "");
  EXPECT_EQ(npz::case_modality("image.npz"), "");
}

}  // namespace
}  // namespace medsam
