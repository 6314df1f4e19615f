// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "pipeline.hpp"

#include <opencv2/imgproc.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace medsam::baseline {

namespace {

constexpr std::size_t kCachedSlices = 1024;
constexpr int kBoxShift = 3;

cv::Mat resize_longest_side(const cv::Mat& image, const Frame& frame) {
  cv::Mat resized;
  cv::resize(image, resized, {frame.new_width, frame.new_height}, 0, 0, cv::INTER_AREA);
  return resized;
}

/// Embeddings of slices, least recently used out first.
class SliceCache {
 public:
  [[nodiscard]] std::optional<ov::Tensor> find(std::int64_t z) {
    const auto found = places_.find(z);
    if (found == places_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
  }
  void put(std::int64_t z, const ov::Tensor& embedding) {
    ov::Tensor copy(embedding.get_element_type(), embedding.get_shape());
    std::memcpy(copy.data(), embedding.data(), embedding.get_byte_size());
    entries_.emplace_front(z, std::move(copy));
    places_[z] = entries_.begin();
    if (entries_.size() <= kCachedSlices) return;
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }

 private:
  using Entries = std::list<std::pair<std::int64_t, ov::Tensor>>;
  Entries entries_;
  std::unordered_map<std::int64_t, Entries::iterator> places_;
};

/// The next box from the label map of the slice before; nothing where no pixel of it is left at 256.
std::optional<ModelBox> next_box(const cv::Mat& labels, const Frame& frame) {
  const cv::Rect extent = cv::boundingRect(resize_longest_side(labels, frame));  // of what is not 0
  if (extent.empty()) return std::nullopt;
  const auto low = [](int v) { return static_cast<float>(std::max(0, v - kBoxShift)); };
  const auto high = [](int v) { return static_cast<float>(std::min(kSide, v + kBoxShift)); };
  return ModelBox{low(extent.x), low(extent.y), high(extent.x + extent.width - 1), high(extent.y + extent.height - 1)};
}

class VolumeRun {
 public:
  VolumeRun(Model& model, const npz::Case& content, const LabelVolumeView& out)
      : model_(model),
        content_(content),
        frame_(content.height, content.width),
        labels_(static_cast<std::uint16_t*>(out.data)) {}

  void segment(const Box3D& box, int label) {
    const auto z0 = static_cast<std::int64_t>(box.z0);
    const auto z1 = std::min(static_cast<std::int64_t>(box.z1), content_.depth - 1);
    const std::int64_t middle = z0 + (static_cast<std::int64_t>(box.z1) - z0) / 2;
    const ModelBox user = to_model_box(box.x0, box.y0, box.x1, box.y1, frame_);
    const std::optional<ModelBox> from_middle = slice(middle, user, label);
    std::optional<ModelBox> next = from_middle;
    for (std::int64_t z = middle + 1; z <= z1; ++z) next = slice(z, next.value_or(user), label);
    next = from_middle;
    for (std::int64_t z = middle - 1; z >= z0; --z) next = slice(z, next.value_or(user), label);
  }

 private:
  ov::Tensor embedding(std::int64_t z) {
    if (auto cached = cache_.find(z)) return *cached;
    preprocess(content_.imgs.data() + z * content_.height * content_.width, 1, frame_, model_.input());
    cache_.put(z, model_.encode());
    return *cache_.find(z);
  }

  /// Segments one slice and gives the box for the one after it.
  std::optional<ModelBox> slice(std::int64_t z, const ModelBox& box, int label) {
    const cv::Mat logits = decode_mask(model_, embedding(z), box, frame_);
    const cv::Mat mask = logits > 0;
    cv::Mat(frame_.height, frame_.width, CV_16UC1, labels_ + z * content_.height * content_.width).setTo(label, mask);
    // The published label maps are u8, and the value decides what is left of it after INTER_AREA.
    return next_box(mask & cv::Scalar(std::min(label, 255)), frame_);
  }

  Model& model_;
  const npz::Case& content_;
  Frame frame_;
  std::uint16_t* labels_;
  SliceCache cache_;
};

void segment_image(Model& model, const npz::Case& content, const LabelView& out) {
  const Frame frame(content.height, content.width);
  preprocess(content.imgs.data(), content.channels, frame, model.input());
  const ov::Tensor embedding = model.encode();
  cv::Mat labels(frame.height, frame.width, CV_16UC1, out.data);
  int label = 0;
  for (const Box& box : content.boxes) {
    const ModelBox model_box = to_model_box(box.x0, box.y0, box.x1, box.y1, frame);
    labels.setTo(++label, decode_mask(model, embedding, model_box, frame) > 0);
  }
}

}  // namespace

Frame::Frame(std::int64_t original_height, std::int64_t original_width)
    : height(static_cast<int>(original_height)), width(static_cast<int>(original_width)) {
  const double scale = static_cast<double>(kSide) / std::max(height, width);
  new_height = static_cast<int>(height * scale + 0.5);
  new_width = static_cast<int>(width * scale + 0.5);
}

void preprocess(const std::uint8_t* pixels, int channels, const Frame& frame, float* out) {
  const cv::Mat image(frame.height, frame.width, CV_8UC(channels), const_cast<std::uint8_t*>(pixels));
  const cv::Mat small = resize_longest_side(image, frame);
  double low = 0, high = 0;
  cv::minMaxLoc(small.reshape(1), &low, &high);
  const auto spread = static_cast<float>(std::max(high - low, 1e-8));
  constexpr int kPlane = kSide * kSide;
  std::memset(out, 0, 3 * kPlane * sizeof(float));
  for (int y = 0; y < frame.new_height; ++y) {
    const std::uint8_t* row = small.ptr(y);
    for (int c = 0; c < 3; ++c) {
      float* target = out + c * kPlane + y * kSide;
      for (int x = 0; x < frame.new_width; ++x) {
        const int value = row[channels == 3 ? 3 * x + c : x];
        target[x] = static_cast<float>(value - static_cast<int>(low)) / spread;
      }
    }
  }
}

ModelBox to_model_box(double x0, double y0, double x1, double y1, const Frame& frame) {
  const double ratio = static_cast<double>(kSide) / std::max(frame.height, frame.width);
  const auto mapped = [ratio](double v) { return static_cast<float>(std::trunc(v * ratio)); };
  return {mapped(x0), mapped(y0), mapped(x1), mapped(y1)};
}

cv::Mat decode_mask(Model& model, const ov::Tensor& embedding, const ModelBox& box, const Frame& frame) {
  const cv::Mat logits = model.decode(embedding, box);
  cv::Mat resized;
  cv::resize(logits({0, 0, frame.new_width, frame.new_height}), resized, {frame.width, frame.height}, 0, 0,
             cv::INTER_LINEAR);
  return resized;
}

npz::Segs segment(Model& model, const npz::Case& content) {
  npz::Segs segs(content);
  segs.clear();
  if (!content.is_volume) {
    segment_image(model, content, segs.image());
    return segs;
  }
  VolumeRun run(model, content, segs.volume());
  int label = 0;
  for (const Box3D& box : content.boxes3d) run.segment(box, ++label);
  return segs;
}

}  // namespace medsam::baseline
