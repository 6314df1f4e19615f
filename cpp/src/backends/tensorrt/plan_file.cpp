// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Plans as files, and the shapes they are for: what needs no TensorRT.
#include <array>
#include <locale>
#include <optional>
#include <sstream>

#include "backends/tensorrt/plan.hpp"
#include "base/sha256.hpp"

namespace medsam::backends::tensorrt {

namespace {

constexpr std::size_t kHashLine = 7 + 64 + 2;  // "sha256 ", the digits, the end of the line and an empty line

// Least, most common, most. A plan reserves memory for the largest shapes it takes: about 25 MB a prompt (LiteMedSAM's
// decoder).
using Range = std::array<std::int64_t, 3>;
constexpr Range kBatch{1, 4, 16}, kTokens{1, 2, 64}, kIndices{1, 1, 8};

constexpr std::uint64_t kLargestPlan = std::uint64_t{1} << 36;  // SAM's ViT-H is 2.5 GB

std::string entry_of(const std::string& fingerprint, const std::string& kind) {
  return "plans/" + sha256_hex(fingerprint) + "." + kind;
}

}  // namespace

std::int64_t extreme(const Shape& shape, std::size_t dimension, Extreme which) {
  if (shape[dimension] >= 0) return shape[dimension];
  const Range& range = shape.size() == 1 ? kIndices : dimension == 0 ? kBatch : kTokens;
  return range.at(static_cast<std::size_t>(which));
}

const Shape& asked_shape(const ModelFile& model, const CompileOptions& options, std::size_t input) {
  const bool fixed = input < options.input_shapes.size() && !options.input_shapes[input].empty();
  return fixed ? options.input_shapes[input] : model.inputs[input].shape;
}

std::string plan_fingerprint(const ModelFile& model, const CompileOptions& options, const PlanTarget& target) {
  std::ostringstream text;
  text.imbue(std::locale::classic());  // not the host's, which may group digits
  text << "medsam-engine plan 2\nlibrary " << target.library << "\ntarget " << target.device << "\nprecision "
       << options.precision << "\nmodel " << model.content_hash() << "\n";
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    const Shape& shape = asked_shape(model, options, i);
    text << "input " << model.inputs[i].name;
    for (const Extreme which : {Extreme::least, Extreme::common, Extreme::most}) {
      for (std::size_t d = 0; d < shape.size(); ++d) text << (d == 0 ? " " : "x") << extreme(shape, d, which);
    }
    text << "\n";
  }
  return text.str();
}

std::string building(const ModelFile& model, const std::string& target) {
  return "building the plan of " + model.path.substr(model.path.rfind('/') + 1) + " for " + target + ", once";
}

std::string read_kept(const CacheFolder& cache, const std::string& fingerprint, const std::string& kind) {
  const std::optional<std::string> file = cache.read(entry_of(fingerprint, kind), kLargestPlan);
  const std::size_t header = fingerprint.size() + kHashLine;
  if (!file || file->size() <= header || !file->starts_with(fingerprint)) return {};
  std::string content = file->substr(header);
  if (file->compare(fingerprint.size(), kHashLine, "sha256 " + sha256_hex(content) + "\n\n") != 0) return {};
  return content;
}

void write_kept(const CacheFolder& cache, const std::string& fingerprint, const std::string& kind, const void* data,
                std::size_t bytes) {
  const std::string content(static_cast<const char*>(data), bytes);
  cache.write(entry_of(fingerprint, kind), fingerprint + "sha256 " + sha256_hex(content) + "\n\n" + content);
}

std::vector<char> read_plan(const CacheFolder& cache, const std::string& fingerprint) {
  const std::string plan = read_kept(cache, fingerprint, "plan");
  return {plan.begin(), plan.end()};
}

void write_plan(const CacheFolder& cache, const std::string& fingerprint, const void* plan, std::size_t bytes) {
  write_kept(cache, fingerprint, "plan", plan, bytes);
}

}  // namespace medsam::backends::tensorrt
