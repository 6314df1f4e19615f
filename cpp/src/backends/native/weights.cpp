// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/weights.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/finite.hpp"
#include "base/text.hpp"
#include "medsam/error.hpp"

namespace medsam::backends::native {

namespace {

constexpr const char* kFormat = "medsam-engine fused 1";
// JSON is parsed into many times its length, so it is bounded apart from the file. LiteMedSAM's has 15 KB.
constexpr std::uint64_t kLongestHeader = 1 << 20;

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t d : shape) {
    if (d < 1 || d > std::numeric_limits<std::int32_t>::max() / count) return -1;
    count *= d;
  }
  return count;
}

}  // namespace

struct Weights::Header {
  nlohmann::json json;
};

void Weights::refuse(const std::string& what) const {
  throw ModelError(path_ + ": " + what + "; export the bundle again with this version's tools");
}

Weights::Weights(std::string path, std::string_view bytes) : path_(std::move(path)), bytes_(bytes) {
  std::uint64_t length = 0;
  if (bytes_.size() < sizeof length) refuse("is too short for a safetensors file");
  std::memcpy(&length, bytes_.data(), sizeof length);
  // Tensors of floats, read where they lie.
  if (length > kLongestHeader || length > bytes_.size() - sizeof length || length % alignof(float) != 0) {
    refuse("its safetensors header has an impossible length");
  }
  const char* body = bytes_.data() + sizeof length + length;
  const std::uint64_t left = bytes_.size() - sizeof length - length;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  auto about = std::make_shared<Header>();
  header_ = about;
  try {
    const auto header = nlohmann::json::parse(bytes_.data() + sizeof length, body);
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        about->json = nlohmann::json::parse(value.at("medsam_engine").get<std::string>());
        continue;
      }
      const auto offsets = value.at("data_offsets").get<std::vector<std::uint64_t>>();
      Entry entry{value.at("shape").get<std::vector<std::int64_t>>(), nullptr};
      const std::int64_t count = elements(entry.shape);
      if (value.at("dtype") != "F32" || count < 0 || offsets.size() != 2 || offsets[1] > left ||
          offsets[0] > offsets[1] || offsets[0] % alignof(float) != 0 ||
          offsets[1] - offsets[0] != static_cast<std::uint64_t>(count) * sizeof(float)) {
        refuse("tensor \"" + name.substr(0, 60) + "\" is not f32 or not inside the file");
      }
      ranges.emplace_back(offsets[0], offsets[1]);
      entry.data = reinterpret_cast<const float*>(body + offsets[0]);
      tensors_[name] = std::move(entry);
    }
  } catch (const nlohmann::json::exception&) {
    refuse("its safetensors header is damaged");
  }
  // Tensors that share bytes would make a small file a large model.
  std::sort(ranges.begin(), ranges.end());
  const auto overlap = [](const auto& a, const auto& b) { return b.first < a.second; };
  if (std::adjacent_find(ranges.begin(), ranges.end(), overlap) != ranges.end()) refuse("its tensors overlap");
  const std::string format = text("format");
  if (format != kFormat) refuse("got format \"" + format.substr(0, 40) + "\", expected \"" + kFormat + "\"");
}

std::string Weights::text(const std::string& name) const {
  const nlohmann::json& header = header_->json;
  if (!header.is_object() || !header.contains(name) || !header[name].is_string()) {
    refuse("its header has no text \"" + name + "\"");
  }
  return header[name].get<std::string>();
}

bool Weights::states(const std::string& name) const {
  return header_->json.is_object() && header_->json.contains(name);
}

const Weights::Entry& Weights::entry(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) refuse("has no tensor \"" + name + "\"");
  return it->second;
}

const std::vector<std::int64_t>& Weights::shape(const std::string& name) const { return entry(name).shape; }

const float* Weights::tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const Entry& found = entry(name);
  if (found.shape != shape) {
    refuse("tensor \"" + name + "\": got shape " + shape_text(found.shape) + ", expected " + shape_text(shape));
  }
  // A rectifier would make 0 of NaN, and the answer would look like any other.
  if (!all_finite(found.data, elements(shape))) refuse("tensor \"" + name + "\" has values that are not finite");
  found.read = true;
  return found.data;
}

void Weights::check_all_read() const {
  for (const auto& [name, entry] : tensors_) {
    if (!entry.read) refuse("has a tensor \"" + name.substr(0, 60) + "\" that its network does not use");
  }
}

std::vector<std::int64_t> Weights::numbers(const std::string& name) const {
  constexpr std::int64_t kLargest = 65536;  // its square and its products with channels are far from overflow
  constexpr std::size_t kMost = 64;         // sizes of stages, of which no network has so many
  std::vector<std::int64_t> values;
  const nlohmann::json& header = header_->json;
  const bool list = header.is_object() && header.contains(name) && header[name].is_array();
  if (!list || header[name].size() > kMost) refuse("its header has no list \"" + name + "\"");
  for (const nlohmann::json& value : header[name]) {
    if (!value.is_number_integer() || value < 1 || value > kLargest) {
      refuse("\"" + name + "\" of its header is not a list of integers from 1 to 65536");
    }
    values.push_back(value.get<std::int64_t>());
  }
  return values;
}

}  // namespace medsam::backends::native
