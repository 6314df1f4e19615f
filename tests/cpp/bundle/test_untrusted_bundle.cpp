// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A bundle is untrusted input (SECURITY.md): what it names stays in its folder, what it claims is bounded before memory
// is asked for, and what it holds cannot end the process.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/sha256.hpp"
#include "bundle/bundle.hpp"
#include "bundle/onnx_scan.hpp"
#include "bundle/verified_model.hpp"
#include "image/geometry.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"
#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::TemporaryFolder;
using testing::tiny_manifest;
using testing::write_file;
using testing::write_tiny_bundle;

std::string fault_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    return e.what();
  }
  return "";
}

std::string fault_of_manifest(const std::string& text) {
  const TemporaryFolder folder;
  const std::string path = write_tiny_bundle(folder.path("b"));
  write_file(path + "/manifest.json", text);
  return fault_of([&] { read_bundle(path); });
}

class UntrustedBundle : public ::testing::Test {
 protected:
  UntrustedBundle() : bundle_(write_tiny_bundle(folder_.path("b"))) {}
  [[nodiscard]] std::string fault() const {
    return fault_of([&] { read_bundle(bundle_); });
  }
  // Puts a link in the place of the encoder.
  [[nodiscard]] bool link_encoder(const std::string& target) const {
    fs::remove(bundle_ + "/encoder.onnx");
    return testing::make_link(target, bundle_ + "/encoder.onnx");
  }
  TemporaryFolder folder_;
  std::string bundle_;
};

TEST_F(UntrustedBundle, ALinkOutOfTheFolderIsRefused) {
  fs::copy_file(bundle_ + "/encoder.onnx", folder_.path("outside.onnx"));
  if (!link_encoder(folder_.path("outside.onnx"))) GTEST_SKIP() << "no links";
  EXPECT_NE(fault().find("outside the bundle's folder"), std::string::npos) << fault();
  if (!link_encoder("../outside.onnx")) GTEST_SKIP() << "no links";
  EXPECT_NE(fault().find("outside the bundle's folder"), std::string::npos) << fault();
}

TEST_F(UntrustedBundle, ALinkInsideTheFolderIsFollowed) {
  fs::create_directory(bundle_ + "/blobs");
  fs::copy_file(bundle_ + "/encoder.onnx", bundle_ + "/blobs/1");
  if (!link_encoder("blobs/1")) GTEST_SKIP() << "no links";
  EXPECT_EQ(fault(), "");
  fs::create_directory_symlink(bundle_, folder_.path("link"));  // a link to the bundle itself is the caller's own
  EXPECT_NO_THROW(read_bundle(folder_.path("link")));
}

TEST_F(UntrustedBundle, AFolderWhoseNameBeginsAlikeIsOutside) {
  fs::create_directory(folder_.path("bb"));
  fs::copy_file(bundle_ + "/encoder.onnx", folder_.path("bb/encoder.onnx"));
  if (!link_encoder(folder_.path("bb/encoder.onnx"))) GTEST_SKIP() << "no links";
  EXPECT_NE(fault().find("outside the bundle's folder"), std::string::npos) << fault();
}

TEST_F(UntrustedBundle, TheManifestItselfMayNotBeElsewhere) {
  fs::rename(bundle_ + "/manifest.json", folder_.path("manifest.json"));
  if (!testing::make_link(folder_.path("manifest.json"), bundle_ + "/manifest.json")) GTEST_SKIP() << "no links";
  EXPECT_NE(fault().find("outside the bundle's folder"), std::string::npos) << fault();
}

TEST_F(UntrustedBundle, WhatIsNoFileIsNotOpened) {
  fs::remove(bundle_ + "/encoder.onnx");
  if (!testing::make_fifo(bundle_ + "/encoder.onnx")) GTEST_SKIP() << "no FIFOs";
  EXPECT_NE(fault().find("no regular file"), std::string::npos) << fault();
  if (!link_encoder("absent")) GTEST_SKIP() << "no links";
  EXPECT_NE(fault().find("missing"), std::string::npos) << fault();
}

TEST(UntrustedManifest, NestingIsRefusedWhereItIsShown) {
  // A recursive printer of the value would need more stack than there is.
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_NE(fault_of_manifest("{\"schema_version\": " + deep + "}").find("nested deeper"), std::string::npos);
}

TEST(UntrustedManifest, IsParsedInTimeOfItsLength) {
  // Objects in a list took the time of the square of their number: 12 s of 470 KiB, hours of what was allowed.
  std::string list = "{}";
  for (int i = 1; i < 300000; ++i) list += ",{}";
  EXPECT_NE(fault_of_manifest("{\"schema_version\": 1, \"parity\": [" + list + "]}"), "");
  EXPECT_NE(fault_of_manifest("{\"schema_version\": 1}" + std::string(1 << 20, ' ')).find("at most 1 MiB"),
            std::string::npos);
}

TEST(UntrustedManifest, NamesOfFilesArePlain) {
  // The first was taken for encoder.onnx.
  for (const std::string& name :
       {std::string("encoder.onnx\0evil", 17), std::string("encoder.onnx\n"), std::string("\x1b[2Jencoder.onnx"),
        std::string("encoder\x7f.onnx"), std::string(300, 'x'), std::string("../encoder.onnx")}) {
    json manifest = tiny_manifest();
    manifest["models"]["encoder"]["file"] = name;
    const std::string fault = fault_of_manifest(manifest.dump());
    EXPECT_NE(fault.find("field \"file\": got"), std::string::npos) << fault;
    EXPECT_TRUE(std::all_of(fault.begin(), fault.end(), [](char c) { return c >= ' ' && c < 127; })) << fault;
  }
}

TEST(UntrustedManifest, FieldsAreShownInOneLine) {
  json manifest = tiny_manifest();
  manifest["a\n\x1b]0;title\x07"] = 1;
  const std::string fault = fault_of_manifest(manifest.dump());
  EXPECT_NE(fault.find("field"), std::string::npos) << fault;
  EXPECT_TRUE(std::all_of(fault.begin(), fault.end(), [](char c) { return c >= ' ' && c < 127; })) << fault;
}

TEST_F(UntrustedBundle, AFileOfAnySizeIsNotHashedForEver) {
  json manifest = tiny_manifest();
  const std::uintmax_t bytes = std::uintmax_t{1} << 40;
  manifest["models"]["encoder"]["bytes"] = bytes;
  write_file(bundle_ + "/manifest.json", manifest.dump());
  std::error_code error;
  fs::resize_file(bundle_ + "/encoder.onnx", bytes, error);  // sparse; where the disk takes none, the size is wrong
  EXPECT_NE(fault().find("from 1 to 4294967296"), std::string::npos) << fault();
}

TEST_F(UntrustedBundle, TheFilesOfAModelAreBoundedTogether) {
  json manifest = tiny_manifest();
  const std::uintmax_t bytes = std::uintmax_t{3} << 30;
  manifest["models"]["encoder"]["data"] = json::array();
  for (const char* name : {"a.bin", "b.bin"}) {
    write_file(bundle_ + "/" + name, "x");
    std::error_code error;
    fs::resize_file(bundle_ + "/" + name, bytes, error);
    if (error) GTEST_SKIP() << "no sparse files here";
    manifest["models"]["encoder"]["data"].push_back({{"file", name}, {"bytes", bytes}, {"sha256", sha256_hex(name)}});
  }
  write_file(bundle_ + "/manifest.json", manifest.dump());
  EXPECT_NE(fault().find("expected at most 4 GiB"), std::string::npos) << fault();
  manifest["models"]["encoder"]["data"][1]["file"] = "a.bin";
  write_file(bundle_ + "/manifest.json", manifest.dump());
  EXPECT_NE(fault().find("lists it twice"), std::string::npos) << fault();
}

TEST(UntrustedManifest, NumbersDoNotWrap) {
  json manifest = tiny_manifest();
  manifest["models"]["encoder"]["inputs"][0]["shape"][0] = std::numeric_limits<std::uint64_t>::max();  // -1 as signed
  EXPECT_NE(fault_of_manifest(manifest.dump()).find("shape"), std::string::npos);
  manifest = tiny_manifest();
  manifest["image"]["input_size"] = std::uint64_t{1} << 63;
  EXPECT_NE(fault_of_manifest(manifest.dump()).find("input_size"), std::string::npos);
}

TEST(UntrustedManifest, ShapesAreBoundedBeforeMemoryIsAskedFor) {
  json manifest = tiny_manifest();
  json extra = {{"name", "skip"}, {"dtype", "f32"}, {"shape", {-1, 1 << 20, 1 << 20}}};
  manifest["models"]["encoder"]["outputs"].push_back(extra);
  EXPECT_NE(fault_of_manifest(manifest.dump()).find("2^28"), std::string::npos);
  extra["shape"] = json::array();
  for (int i = 0; i < 8; ++i) extra["shape"].push_back(1 << 24);  // the product overflows 64 bits
  manifest["models"]["encoder"]["outputs"].back() = extra;
  EXPECT_NE(fault_of_manifest(manifest.dump()).find("2^28"), std::string::npos);
  manifest = tiny_manifest();
  manifest["models"]["decoder"]["outputs"][0]["shape"] = {-1, -1, 1 << 13, 1 << 13};
  EXPECT_NE(fault_of_manifest(manifest.dump()).find("1 to 4096"), std::string::npos);
}

TEST(UntrustedManifest, NumbersThatF32DoesNotHoldAreRefused) {
  for (const auto& [mean, std] : {std::pair{1e300, 1.0}, {0.0, 1e-300}, {0.0, 1e300}, {0.0, 0.0}, {0.0, -1.0}}) {
    json manifest = tiny_manifest();
    manifest["profile"]["image"]["normalize"] = {{"kind", "mean_std"}, {"mean", {mean, 0, 0}}, {"std", {1, 1, std}}};
    EXPECT_NE(fault_of_manifest(manifest.dump()).find("field"), std::string::npos) << mean << " " << std;
  }
}

std::string varint(std::size_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  return bytes + static_cast<char>(value);
}

// One protobuf field that holds bytes.
std::string field(std::size_t number, const std::string& content) {
  return varint(number << 3 | 2) + varint(content.size()) + content;
}

class ExternalData : public ::testing::Test {
 protected:
  [[nodiscard]] std::string fault(const std::string& graph) {
    model_.path = folder_.path("graph.onnx");
    return fault_of([&] { check_external_data(scan_onnx(graph, model_.path), model_); });
  }
  static std::string tensor_in(const std::string& file) {
    return field(13, field(1, "location") + field(2, file)) + "\x70\x01";
  }
  TemporaryFolder folder_;
  ModelFile model_;
};

TEST_F(ExternalData, OnlyListedFilesMayBeNamed) {
  const std::string plain = field(7, field(5, tensor_in("weights.bin")));
  EXPECT_NE(fault(plain).find("\"weights.bin\""), std::string::npos);
  model_.data.push_back({folder_.path("weights.bin"), 1, ""});
  EXPECT_EQ(fault(plain), "");
  for (const char* location : {"../weights.bin", "/etc/passwd", "./weights.bin", "other.bin", ""}) {
    EXPECT_NE(fault(field(7, field(5, tensor_in(location)))), "") << location;
  }
}

TEST_F(ExternalData, IsFoundWhereverATensorMayBe) {
  const std::string tensor = tensor_in("x");
  const std::string node = field(5, field(5, tensor));  // of an attribute
  const std::string graph = field(5, tensor);
  for (const std::string& model :
       {field(7, graph), field(7, field(1, node)), field(7, field(1, field(5, field(6, graph)))),
        field(7, field(1, field(5, field(11, graph)))), field(7, field(1, field(5, field(10, tensor)))),
        field(7, field(15, field(1, tensor))), field(7, field(15, field(2, tensor))),
        field(7, field(1, field(5, field(22, field(1, tensor))))),
        field(7, field(1, field(5, field(23, field(1, tensor))))), field(20, field(1, graph)),
        field(20, field(2, graph)), field(25, field(7, node)), field(25, field(11, field(5, tensor))),
        field(7, "") + field(7, graph)}) {
    EXPECT_NE(fault(model).find("\"x\""), std::string::npos) << ::testing::PrintToString(model);
  }
}

TEST_F(ExternalData, AKeyThatIsThereTwiceCountsBothTimes) {
  const std::string entry = field(13, field(1, "location") + field(1, "offset") + field(2, "a") + field(2, "b"));
  EXPECT_NE(fault(field(7, field(5, entry))).find("\"a\""), std::string::npos);
}

TEST_F(ExternalData, BytesThatAreNoProtobufAreRefused) {
  for (const std::string& bytes : {std::string("\x3a\x7f"), std::string("\x3b"), std::string("\x80\x80"),
                                   std::string("\x02\x00", 2), std::string(11, '\xff'), std::string("\x09")}) {
    EXPECT_NE(fault(bytes).find("no protobuf"), std::string::npos) << ::testing::PrintToString(bytes);
  }
  EXPECT_NE(fault("").find("cannot be read"), std::string::npos);
  std::string nested;
  for (int i = 0; i < 30; ++i) nested = field(1, field(5, field(6, nested)));
  EXPECT_EQ(fault(field(7, nested)), "");
  for (int i = 0; i < 10; ++i) nested = field(1, field(5, field(6, nested)));
  EXPECT_NE(fault(field(7, nested)).find("no protobuf"), std::string::npos) << "deeper than protobuf goes";
}

TEST_F(ExternalData, TheGraphsOfABundleAreChecked) {
  const std::string path = write_tiny_bundle(folder_.path("b"));
  const std::string graph = field(7, field(5, tensor_in("../secret")));
  write_file(path + "/encoder.onnx", graph);
  json manifest = tiny_manifest();
  manifest["models"]["encoder"]["bytes"] = graph.size();
  manifest["models"]["encoder"]["sha256"] = sha256_hex(graph);
  write_file(path + "/manifest.json", manifest.dump());
  const Bundle bundle = read_bundle(path);
  EXPECT_NE(fault_of([&] { VerifiedModel{bundle.model("encoder")}; }).find("secret"), std::string::npos);
}

TEST_F(ExternalData, QuantizedGraphsAreKnownByTheirOperators) {
  const auto node = [](const std::string& operation, const std::string& domain = "") {
    return field(7, field(1, field(4, operation) + (domain.empty() ? "" : field(7, domain))));
  };
  const auto quantized = [](const std::string& graph) { return scan_onnx(graph, "g").quantized; };
  for (const char* operation : {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv",
                                "QLinearMatMul", "MatMulInteger", "ConvInteger", "FakeQuantize", "QGemm"}) {
    EXPECT_TRUE(quantized(node(operation))) << operation;
    EXPECT_TRUE(quantized(field(7, field(1, field(5, field(6, field(1, field(4, operation))))))))
        << operation << " in a branch";
    EXPECT_TRUE(quantized(field(25, field(7, field(4, operation))))) << operation << " in a function";
  }
  for (const char* operation : {"Conv", "MatMul", "LayerNormalization", "Softmax", "Cast"}) {
    EXPECT_FALSE(quantized(node(operation))) << operation;
    EXPECT_FALSE(quantized(node(operation, "ai.onnx"))) << operation;
    EXPECT_TRUE(quantized(node(operation, "com.microsoft"))) << operation;
  }
}

TEST(UntrustedViews, StridesBeyondAnyMemoryAreRefused) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(),
                         kMax = std::numeric_limits<std::int64_t>::max();
  std::vector<std::uint16_t> data(6 * 4 * 3);
  for (const std::int64_t stride : {kMin, kMin + 8, kMax - 7, std::int64_t{1} << 60}) {
    EXPECT_NE(fault_of([&] { check_image({data.data(), PixelType::u16, 4, 6, 1, stride}); }), "");
    EXPECT_NE(fault_of([&] { check_volume({data.data(), PixelType::u16, 3, 4, 6, 1, 12, stride}); }), "");
    EXPECT_NE(fault_of([&] { check_volume({data.data(), PixelType::u16, 3, 4, 6, 1, stride, 48}); }), "");
    EXPECT_NE(fault_of([&] { check_labels({data.data(), LabelType::u16, 4, 6, stride}, 4, 6, 1); }), "");
  }
  EXPECT_EQ(fault_of([&] { check_volume({data.data(), PixelType::u16, 3, 4, 6, 1, 12, 48}); }), "");
}

}  // namespace
}  // namespace medsam
