// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which certificates hold, and what is chosen by them: tables of what is there, what is asked for, and what comes of
// it.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <limits>

#include "bundle/bundle.hpp"
#include "medsam/engine.hpp"
#include "medsam/error.hpp"
#include "precision/resolve.hpp"
#include "support/engine_test.hpp"

namespace medsam {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const std::string kOwnKernels = native_identity("fused hash", "fused 1");

/// A machine that computes in everything but f16, and a bundle with the exact graphs and what is added to them.
class Machine {
 public:
  explicit Machine(std::vector<Certificate> certificates = {}) {
    here = {std::move(certificates), "hash", "fake 1", "CPU", {}, false};
    for (const char* name : {"f32", "bf16"}) add(name).add(name, "", Stage::decoder);
    add("bf16_mixed").add("f16", "", Stage::encoder, false).add("f16", "", Stage::decoder, false);
  }
  Machine(Machine&&) = default;  // not copied: `here` points into variants_
  Machine& add(const char* name, const std::string& identity = "", Stage stage = Stage::encoder, bool native = true) {
    Variant& variant = variants_.emplace_back();
    variant.stage = stage;
    variant.arithmetic = find_arithmetic(stage, name);
    here.runs.push_back({&variant, nullptr, identity, native});
    return *this;
  }
  Situation here;

 private:
  std::deque<Variant> variants_;
};

// What may be beside the exact graphs.
void nothing(Machine&) {}
void int8(Machine& m) { m.add("int8", "int8 hash"); }
void other_int8(Machine& m) { m.add("int8", "another int8 hash"); }
void fused(Machine& m) { m.add(kF32Fused, kOwnKernels).add(kBf16Fused, kOwnKernels); }
void other_fused_file(Machine& m) { m.add(kBf16Fused, native_identity("another hash", "fused 1")); }
void other_kernels(Machine& m) { m.add(kBf16Fused, native_identity("fused hash", "fused 2")); }
void trusting(Machine& m) { m.here.trust_bundle = true; }
// A GPU that runs these f16 graphs, or the exact graphs where there are none.
void gpu(Machine& m, const std::string& graphs) {
  m.here.backend = "TensorRT 1";
  m.here.device = "cuda:0";
  for (StageRun& run : m.here.runs) {
    if (run.name() == "f16") run.identity = graphs, run.native = true;
  }
}
void f16_graphs(Machine& m) { gpu(m, "f16 hash"); }

using Change = std::function<void(Certificate&)>;

Certificate good(const std::string& encoder, const std::string& decoder, const Change& change = nullptr) {
  Certificate c;
  c.name = "bf16";
  c.encoder.arithmetic = find_arithmetic(Stage::encoder, encoder);
  c.decoder.arithmetic = find_arithmetic(Stage::decoder, decoder);
  c.model_hash = "hash";
  c.backend = "fake 1";
  c.device = "CPU";
  c.images = 40;
  c.agreement_mean = 0.98;
  c.truth_f32 = 0.8;
  c.truth = 0.7985;
  c.worst_loss = 0.05;
  c.origin = CertificateOrigin::project;
  if (change) change(c);
  return c;
}

Certificate bf16(const Change& change = nullptr) { return good("bf16", "f32", change); }

Certificate good_int8(const std::string& file = "int8 hash") {
  return good("int8", "f32", [&](Certificate& c) { c.name = "int8", c.encoder.identity = file; });
}

Certificate good_fused() {
  return good("bf16_fused", "f32", [](Certificate& c) { c.encoder.identity = kOwnKernels; });
}

Certificate same(double mean, double worst) {
  Certificate c = good("f32_fused", "f32", [](Certificate& f32) { f32.encoder.identity = kOwnKernels; });
  c.name = "f32";
  c.agreement_mean = mean;
  c.agreement_worst = worst;
  return c;
}

// Measured on the f16 graphs, so that it holds wherever they are run.
Certificate good_f16(const Change& change = nullptr) {
  Certificate c = good("f16", "f16");
  c.name = "f16";
  c.backend = "the graph's types";
  c.device = "any";
  c.encoder.identity = c.decoder.identity = "f16 hash";
  c.largest = 32752;
  if (change) change(c);
  return c;
}

Certificate bundles_own(Certificate c) {
  c.origin = CertificateOrigin::bundle;
  return c;
}

constexpr const char* kOtherModels = "its certificate is for other model files";
constexpr const char* kOtherFused = "its certificate is for other fused weights or other kernels";
constexpr const char* kOtherF16 = "its certificate is for f16 graphs that are not run here";
constexpr const char* kNearLargest = "its certificate shows values near f16's largest";
constexpr const char* kTooMuch = "its certificate shows that it changes the masks too much";
constexpr const char* kOtherMasks = "its certificate shows other masks than f32's";
constexpr const char* kOwnWord =
    "its certificate is the bundle's own word, neither this project's nor measured on this machine, and not trusted "
    "(trust_bundle_certificates)";

TEST(Certificate, HoldsForWhatItWasMeasuredOnAndAboveTheBars) {
  struct Row {
    Certificate certificate;
    std::function<void(Machine&)> machine;
    std::string refusal;
  };
  const Row rows[] = {
      {bf16(), nothing, ""},
      {bf16(), [](Machine& m) { m.here.model_hash = "other"; }, kOtherModels},
      {bf16(), [](Machine& m) { m.here.backend = "fake 2"; }, "its certificate is for fake 1, this is fake 2"},
      {bf16(), [](Machine& m) { m.here.device = "GPU"; }, "its certificate is for the device CPU"},
      // An int8 encoder is the very one.
      {good_int8(), int8, ""},
      {good_int8(), other_int8, kOtherModels},
      {good_int8(), nothing, kOtherModels},
      {good_int8(""), int8, kOtherModels},
      {good_int8(""), nothing, kOtherModels},
      // A native encoder is of the very file and kernels.
      {good_fused(), fused, ""},
      {good_fused(), other_fused_file, kOtherFused},
      {good_fused(), other_kernels, kOtherFused},
      {good_fused(), nothing, kOtherFused},
      {good("bf16_fused", "f32"), fused, kOtherFused},
      {good("bf16_fused", "f32"), nothing, kOtherFused},
      // f16 graphs round alike wherever they are run.
      {good_f16(), f16_graphs, ""},
      {good_f16(), [](Machine& m) { gpu(m, "another f16 hash"); }, kOtherF16},
      {good_f16(), [](Machine& m) { gpu(m, ""); }, kOtherF16},
      {good_f16(), nothing, kOtherF16},
      {good_f16([](Certificate& c) {
         c.encoder = {find_arithmetic(Stage::encoder, "f32"), ""};
       }),
       f16_graphs, ""},
      {good_f16([](Certificate& c) {
         c.decoder = {find_arithmetic(Stage::decoder, "bf16"), ""};
       }),
       f16_graphs, "its certificate is for the graph's types, this is TensorRT 1"},
      {good_f16([](Certificate& c) { c.largest = 32753; }), f16_graphs, kNearLargest},
      {good_f16([](Certificate& c) { c.largest = kNan; }), f16_graphs, kNearLargest},
      {good_f16([](Certificate& c) { c.largest.reset(); }), f16_graphs, kNearLargest},
      {good("f16", "f16"), f16_graphs, kOtherF16},  // of the exact graphs, which are not what would run
      {good("f16", "f16"), nothing, kNotNative},
      // Every bar counts, and NaN is below it.
      {bf16([](Certificate& c) { c.images = 39; }), nothing, "its certificate covers fewer than 40 images"},
      {bf16([](Certificate& c) { c.agreement_mean = 0.9799; }), nothing, kTooMuch},
      {bf16([](Certificate& c) { c.agreement_mean = kNan; }), nothing, kTooMuch},
      {bf16([](Certificate& c) { c.truth = 0.797; }), nothing, kTooMuch},
      {bf16([](Certificate& c) { c.truth = kNan; }), nothing, kTooMuch},
      {bf16([](Certificate& c) { c.worst_loss = 0.051; }), nothing, kTooMuch},
      {bf16([](Certificate& c) { c.truth.reset(); }), nothing, kTooMuch},  // without truth, 0.98 is not enough
      {bf16([](Certificate& c) { c.truth.reset(), c.agreement_mean = 0.99; }), nothing, ""},
      // f32 on other kernels has bars of its own, unless the decoder is an approximation.
      {same(0.99995, 0.9995), fused, ""},
      {same(0.99985, 0.9995), fused, kOtherMasks},
      {same(0.99995, 0.9985), fused, kOtherMasks},
      {same(0.99995, kNan), fused, kOtherMasks},
      // Whose word it is.
      {bundles_own(bf16()), nothing, kOwnWord},
      {bundles_own(bf16()), trusting, ""},
      {bf16([](Certificate& c) { c.origin = CertificateOrigin::machine; }), nothing, ""},
      {bundles_own(bf16([](Certificate& c) { c.images = 39; })), trusting,
       "its certificate covers fewer than 40 images"},
  };
  for (const Row& row : rows) {
    Machine machine;
    row.machine(machine);
    EXPECT_EQ(refusal(row.certificate, machine.here), row.refusal) << "row " << &row - rows;
  }
}

// What is chosen, as "name: encoder/decoder", or why nothing is.
std::string outcome(const std::string& wanted, bool allow_uncertified, const Situation& here) {
  try {
    const Choice choice = choose(wanted, allow_uncertified, here);
    return choice.precision + ": " + choice.pair();
  } catch (const Unsupported& error) {
    const std::string before = "precision: got \"" + wanted + "\", but ";
    const std::string after = "; use f32 or auto, or measure one with `medsam-engine certify`";
    const std::string text = error.what();
    EXPECT_TRUE(text.starts_with(before) && text.ends_with(after)) << text;
    return text.substr(before.size(), text.size() - before.size() - after.size());
  } catch (const InvalidArgument& error) {
    return error.what();
  }
}

TEST(Choose, WhatIsCertifiedAndNative) {
  const std::vector<Certificate> none;
  const std::vector<Certificate> three{bf16(), good("bf16", "bf16"), good("f32", "bf16")};
  const std::vector<Certificate> f16{good("f16", "f16", [](Certificate& c) { c.name = "f16"; })};
  const std::vector<Certificate> few{good("f32", "bf16"), good("bf16", "bf16", [](Certificate& c) { c.images = 3; })};
  const std::vector<Certificate> with_int8{good_int8(), good("f32", "bf16")};
  const std::vector<Certificate> with_fused{good_fused(), good("bf16", "bf16")};
  const std::vector<Certificate> with_same{same(0.99995, 0.9995), good("f32", "bf16")};
  const std::vector<Certificate> own{bundles_own(good("bf16", "bf16"))};
  const std::vector<Certificate> own_same{bundles_own(same(1, 1))};
  const char* kNone = "this bundle has no certificate for it";
  const char* kNoInt8 = "this bundle has no int8 encoder, which `medsam-engine quantize` makes";
  const char* kNoFused = "this bundle has no fused weights for that, or this device no fast products for them";
  const auto unknown = [](const std::string& word) {
    return "precision: got \"" + word + "\", expected f32, bf16, f16, int8 or auto";
  };
  struct Row {
    const std::vector<Certificate>& certificates;
    std::function<void(Machine&)> machine;
    std::string wanted;
    bool allow_uncertified;
    std::string outcome;
  };
  const Row rows[] = {
      // Nothing is approximated unasked, and nothing without a certificate but by the override, on every stage.
      {three, nothing, "f32", false, "f32: f32/f32"},
      {none, nothing, "auto", false, "f32: f32/f32"},
      {none, nothing, "auto", true, "f32: f32/f32"},
      {none, nothing, "bf16", false, kNone},
      {none, nothing, "bf16", true, "bf16: bf16/bf16"},
      {none, nothing, "bf16/f32", false, kNone},
      {none, nothing, "bf16/f32", true, "bf16/f32: bf16/f32"},
      {none, nothing, "int8", false, kNoInt8},
      {none, nothing, "int8", true, kNoInt8},
      {none, nothing, "int8/f32", true, kNoInt8},
      {none, nothing, "fp16", false, unknown("fp16")},
      {none, nothing, "bf16_mixed", true, unknown("bf16_mixed")},
      {none, nothing, "bf16/i4", true, unknown("bf16/i4")},
      {none, nothing, "f32/int8", true, unknown("f32/int8")},
      {none, nothing, "", true, unknown("")},
      // What a certificate covers, and of several the one that covers most.
      {three, nothing, "bf16", false, "bf16: bf16/bf16"},
      {three, nothing, "auto", false, "bf16: bf16/bf16"},
      {three, nothing, "bf16/f32", false, "bf16: bf16/f32"},
      {three, nothing, "f32/bf16", false, "bf16: f32/bf16"},
      {three, nothing, "bf16_mixed/f32", false, kNone},
      {few, nothing, "bf16", false, "bf16: f32/bf16"},
      {few, nothing, "bf16/f32", false, kNone},
      {few, nothing, "bf16/bf16", false, "its certificate covers fewer than 40 images"},
      {few, nothing, "f32/f32", false, "f32: f32/f32"},
      // What the processor lacks is not used.
      {f16, nothing, "auto", false, "f32: f32/f32"},
      {f16, nothing, "f16", false, kNotNative},
      {f16, nothing, "f16", true, kNotNative},
      {f16, nothing, "f16/f32", true, kNotNative},
      {none, nothing, "f16", false, kNone},
      {none, nothing, "f16", true, kNotNative},
      // "auto" leaves int8 to what was measured on this machine.
      {none, int8, "int8", false, kNone},
      {none, int8, "int8", true, "int8: int8/f32"},
      {with_int8, int8, "int8", false, "int8: int8/f32"},
      {with_int8, int8, "auto", false, "bf16: f32/bf16"},
      {with_int8, other_int8, "int8", false, kOtherModels},
      // A native encoder is the fastest, where it is the one that was measured.
      {with_fused, nothing, "auto", false, "bf16: bf16/bf16"},
      {with_fused, nothing, "bf16_fused/f32", false, kNoFused},
      {with_fused, other_fused_file, "auto", false, "bf16: bf16/bf16"},
      {with_fused, other_kernels, "auto", false, "bf16: bf16/bf16"},
      {with_fused, other_kernels, "bf16_fused/f32", false, kOtherFused},
      {with_fused, fused, "auto", false, "bf16: bf16_fused/f32"},
      {with_fused, fused, "bf16_fused/f32", false, "bf16: bf16_fused/f32"},
      // f32 is on own kernels where the masks are the same; the pair is the exact graphs.
      {with_same, nothing, "f32", false, "f32: f32/f32"},
      {with_same, fused, "f32", false, "f32: f32_fused/f32"},
      {with_same, fused, "f32/f32", false, "f32: f32/f32"},
      {with_same, fused, "auto", false, "f32: f32_fused/f32"},
      {none, fused, "f32", true, "f32: f32/f32"},
      {none, fused, "f32_fused/f32", true, "f32_fused/f32: f32_fused/f32"},
      // The bundle's own word counts where it is trusted only.
      {own, nothing, "auto", false, "f32: f32/f32"},
      {own, nothing, "bf16", false, kOwnWord},
      {own, nothing, "bf16/bf16", false, kOwnWord},
      {own, nothing, "bf16/bf16", true, "bf16/bf16: bf16/bf16"},
      {own, trusting, "auto", false, "bf16: bf16/bf16"},
      {own_same, fused, "f32", false, "f32: f32/f32"},
  };
  for (const Row& row : rows) {
    Machine machine(row.certificates);
    row.machine(machine);
    EXPECT_EQ(outcome(row.wanted, row.allow_uncertified, machine.here), row.outcome)
        << "row " << &row - rows << ", " << row.wanted;
  }
}

TEST(Choose, ListsWhatIsCertifiedAndNative) {
  const Certificate bad = good("bf16", "bf16", [](Certificate& c) { c.agreement_mean = 0.9; });
  Machine machine({bad, good("f32", "bf16"), good("f32", "bf16"), good("f16", "f16"), good_int8()});
  EXPECT_EQ(certified_pairs(machine.here), (std::vector<std::string>{"f32/f32", "f32/bf16"}));
  int8(machine);
  EXPECT_EQ(certified_pairs(machine.here), (std::vector<std::string>{"f32/f32", "f32/bf16", "int8/f32"}));
  EXPECT_TRUE(certified_stages("int8", "f32", machine.here));
  EXPECT_FALSE(certified_stages("int8", "bf16", machine.here));
  EXPECT_FALSE(certified_stages("bf16", "bf16", machine.here));
}

TEST_F(EngineTest, ACertificateIsReadFromTheManifest) {
  nlohmann::json manifest = testing::tiny_manifest();
  testing::write_tiny_bundle(bundle_, manifest);
  options_.precision = "bf16";
  options_.trust_bundle_certificates = true;
  EXPECT_THROW(Engine(bundle_, options_), Unsupported);
  manifest["certificates"] = {{{"precision", "bf16"},
                               {"stages", {{"encoder", "bf16"}, {"decoder", "f32"}}},
                               {"model_hash", read_bundle(bundle_).model_hash},
                               {"backend", "fake 1"},
                               {"device", "CPU"},
                               {"measured",
                                {{"images", 40},
                                 {"objects", 99},
                                 {"agreement_mean", 0.995},
                                 {"agreement_worst", 0.9},
                                 {"truth_f32", nullptr},
                                 {"truth", nullptr},
                                 {"worst_loss", nullptr},
                                 {"machine", "any"}}}}};
  testing::write_tiny_bundle(bundle_, manifest);
  const Engine engine(bundle_, options_);
  EXPECT_EQ(engine.info().precision, "bf16");
  EXPECT_EQ(engine.info().decoder_precision, "f32");
  options_.precision = "f32";
  EXPECT_NE(Engine(bundle_, options_).info().fingerprint, engine.info().fingerprint);
  manifest["certificates"][0]["measured"]["surprise"] = 1;
  testing::write_tiny_bundle(bundle_, manifest);
  EXPECT_THROW(Engine(bundle_, options_), ModelError);
}

}  // namespace
}  // namespace medsam
