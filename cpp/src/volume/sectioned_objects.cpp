// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Follow::sections: every slice of a 3D box is asked for sections of superellipsoids, whose answers are fused and
// smoothed along z.
#include <algorithm>
#include <deque>
#include <functional>
#include <iterator>
#include <numeric>
#include <optional>
#include <queue>
#include <utility>

#include "model/prediction.hpp"
#include "volume/followed_objects.hpp"
#include "volume/fused_logits.hpp"
#include "volume/sections.hpp"
#include "volume/slice_boxes.hpp"

namespace medsam {

namespace {

/// Of logits that are kept at once.
constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;

/// One object: the solid that its box bounds, and its slices that were decoded but not yet written.
struct Solid {
  Box box;           // on each slice
  SliceRange range;  // its slices
  bool cut_below = false, cut_above = false;

  std::optional<SmoothedPlanes> planes;  // while there are any
  std::deque<float> ratings;             // of the slices from `next` on
  std::int64_t next = 0;                 // slice to write

  [[nodiscard]] bool on(std::int64_t z) const { return z >= range.low && z <= range.high; }
  /// How far slice z is from the middle (0) towards the end (1) of the solid, which ends half a slice beyond its last
  /// slices. Where the volume ends, the object may go on, so its box is not rounded off there.
  [[nodiscard]] double way(std::int64_t z) const {
    const double middle = static_cast<double>(range.low + range.high) / 2;
    const double half = static_cast<double>(range.high - range.low + 1) / 2;
    const double t = (static_cast<double>(z) - middle) / half;
    return (t < 0 && cut_below) || (t > 0 && cut_above) ? 0 : t;
  }
};

/// Divides objects so that no slice has more than `most` of one part, in as few parts as there can be: whoever comes
/// first along z takes the first place that is free.
std::vector<std::vector<std::size_t>> parts_of(const std::vector<Solid>& solids, std::size_t most) {
  std::vector<std::size_t> order(solids.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return solids[a].range.low < solids[b].range.low; });
  std::vector<std::vector<std::size_t>> parts;
  using Ends = std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>>;
  std::vector<Ends> ends;  // by part: the last slices of the objects that have not ended
  for (const std::size_t i : order) {
    const SliceRange& range = solids[i].range;
    if (range.high < range.low) continue;
    std::size_t part = 0;
    for (; part < parts.size(); ++part) {
      while (!ends[part].empty() && ends[part].top() < range.low) ends[part].pop();
      if (ends[part].size() < most) break;
    }
    if (part == parts.size()) {
      parts.emplace_back();
      ends.emplace_back();
    }
    parts[part].push_back(i);
    ends[part].push(range.high);
  }
  for (std::vector<std::size_t>& part : parts) std::sort(part.begin(), part.end());
  return parts;
}

class SectionedObjects final : public FollowedObjects {
 public:
  SectionedObjects(const VolumeTask& task, SliceAnswers& answers)
      : profile_(task.profile),
        rules_(task.profile.volume.sections),
        model_(task.model),
        decoder_(task.model.decoder()),
        answers_(answers),
        slices_(task.slices),
        fused_(rules_.rating_power) {
    for (std::size_t i = 0; i < task.boxes.size(); ++i) {
      const Box3D& b = task.boxes[i];
      Solid solid;
      solid.box = checked_box({b.x0, b.y0, b.x1, b.y1}, slices_.height, slices_.width, static_cast<std::int64_t>(i));
      solid.range = slice_range(b, slices_.depth, profile_.volume.z_range);
      solid.cut_below = b.z0 <= 0;
      solid.cut_above = b.z1 >= static_cast<double>(slices_.depth - 1);
      solids_.push_back(std::move(solid));
    }
    plan(slices_.depth);
  }

  void run(std::size_t n, const detail::EmbeddingData& embedding, const std::function<bool()>& cancelled) override {
    const Visit& visit = visits_[n];
    const ImageGeometry& geometry = embedding.geometry;
    slices_.check_fits(geometry, visit.z);
    const std::vector<PromptTokens> tokens = visit_tokens(visit, model_.context(embedding, profile_.prompt));
    const std::int64_t height = decoder_.low_height(), width = decoder_.low_width();
    const backends::MapPart part = looked_at(geometry, profile_.mask, height, width);
    const UnpaddedSize unpadded = unpadded_size(geometry, height, width);
    const UnpaddedSize shown{std::min(unpadded.height, part.height), std::min(unpadded.width, part.width)};
    // Prompts of one kind are answered in order, so an object's answers come one after the other.
    decoder_.decode(embedding, tokens, {{0}, part}, cancelled, [&](std::size_t i, const Decoder::Answer& answer) {
      const backends::Shape& shape = answer.logits->shape();
      const float* map = answer.logits->host() + answer.row * shape[2] * shape[3];
      fused_.add({map, part.height, part.width, shape[3]}, shown, answer.iou[0]);
      if (i + 1 == tokens.size() || owner_[i + 1] != owner_[i]) take(owner_[i], visit.z, fused_.take(), geometry, part);
    });
  }

 private:
  void plan(std::int64_t depth) {
    const std::int64_t planes = 2 * SmoothedPlanes::radius(rules_.smooth_slices) + 2;  // one is being fused
    const auto bytes = static_cast<std::int64_t>(sizeof(float)) * decoder_.low_height() * decoder_.low_width();
    const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, kMostBytes / (planes * bytes)));
    std::vector<std::ptrdiff_t> last(static_cast<std::size_t>(depth), -1);  // visit of a slice
    for (const std::vector<std::size_t>& part : parts_of(solids_, most)) {
      for (std::int64_t z = 0; z < depth; ++z) {
        Visit visit{z, false, {}};
        std::copy_if(part.begin(), part.end(), std::back_inserter(visit.objects),
                     [&](std::size_t i) { return solids_[i].on(z); });
        if (visit.objects.empty()) continue;
        auto& earlier = last[static_cast<std::size_t>(z)];
        if (earlier >= 0) visits_[static_cast<std::size_t>(earlier)].again = true;
        earlier = static_cast<std::ptrdiff_t>(visits_.size());
        visits_.push_back(std::move(visit));
      }
    }
  }

  std::vector<PromptTokens> visit_tokens(const Visit& visit, const PromptContext& context) {
    std::vector<PromptTokens> tokens;
    owner_.clear();
    for (const std::size_t i : visit.objects) {
      for (const PromptBox& box : section_prompts(solids_[i], visit.z, context.geometry)) {
        tokens.push_back(box_tokens(box.corners, box.crop_box, context));
        owner_.push_back(i);
      }
    }
    return tokens;
  }

  [[nodiscard]] std::vector<PromptBox> section_prompts(const Solid& solid, std::int64_t z,
                                                       const ImageGeometry& geometry) const {
    const BoxRounding rounding = profile_.prompt.box_rounding;
    const PromptBox whole = user_prompt_box(geometry, solid.box, rounding);
    const float* user = whole.corners;
    std::vector<PromptBox> prompts;
    for (const Corners& asked : section_boxes({user[0], user[1], user[2], user[3]}, solid.way(z), rules_.exponents,
                                              rounding != BoxRounding::none)) {
      PromptBox prompt;
      std::transform(asked.begin(), asked.end(), prompt.corners, [](double v) { return static_cast<float>(v); });
      // How far the ends are drawn in, in pixels of the image: not beyond the middle, where the frame's rounding leads.
      const Box& box = solid.box;
      const double x = std::min((asked[0] - user[0]) / geometry.prompt_scale_x, (box.x1 - box.x0) / 2);
      const double y = std::min((asked[1] - user[1]) / geometry.prompt_scale_y, (box.y1 - box.y0) / 2);
      prompt.crop_box = pixel_box({box.x0 + x, box.y0 + y, box.x1 - x, box.y1 - y});
      prompts.push_back(prompt);
    }
    return prompts;
  }

  /// Takes an object's answer about slice z, and passes on every slice that can be smoothed now.
  void take(std::size_t object, std::int64_t z, FusedLogits::Mean answer, const ImageGeometry& geometry,
            const backends::MapPart& part) {
    Solid& solid = solids_[object];
    if (!solid.planes) {
      solid.planes.emplace(solid.range.low, solid.range.high, rules_.smooth_slices);
      solid.next = solid.range.low;
    }
    solid.ratings.push_back(answer.rating);
    solid.planes->put(z, std::move(answer.logits));
    while (solid.on(solid.next) && solid.planes->missing(solid.next).empty()) pass_on(object, geometry, part);
    if (!solid.on(solid.next)) solid.planes.reset();
  }

  void pass_on(std::size_t object, const ImageGeometry& geometry, const backends::MapPart& part) {
    Solid& solid = solids_[object];
    const std::vector<float> logits = solid.planes->take(solid.next);
    const auto tensor = std::make_shared<backends::HostTensor>(backends::Shape{1, 1, part.height, part.width});
    std::copy(logits.begin(), logits.end(), tensor->mutable_host());
    answers_.take(object, solid.next, {tensor, 0, decoder_.low_height(), decoder_.low_width()}, solid.ratings.front(),
                  geometry);
    solid.ratings.pop_front();
    ++solid.next;
  }

  const Profile& profile_;
  const SectionRules& rules_;
  Model& model_;
  Decoder& decoder_;
  SliceAnswers& answers_;
  SliceSizes slices_;
  std::vector<Solid> solids_;       // by object
  FusedLogits fused_;               // of whatever object is being answered
  std::vector<std::size_t> owner_;  // prompt -> object
};

/// A sweep whose masks go into a label volume slice by slice.
class LabeledObjects final : public FollowedObjects, private SliceAnswers {
 public:
  LabeledObjects(const VolumeTask& task, VolumeLabels& labels)
      : rules_(task.profile.mask),
        labels_(labels),
        mask_(task.slices.height, task.slices.width, LabelType::u8),
        sweep_(task, *this) {
    visits_ = sweep_.visits();
  }

  void run(std::size_t n, const detail::EmbeddingData& embedding, const std::function<bool()>& cancelled) override {
    sweep_.run(n, embedding, cancelled);
  }

 private:
  void take(std::size_t object, std::int64_t z, const LogitMap& logits, float rating,
            const ImageGeometry& geometry) override {
    MaskStats stats = write_label(logits, geometry, rules_, mask_.view(), 1);
    stats.iou = rating;
    labels_.add(object, z, mask_.view(), stats);
  }

  const MaskRules& rules_;
  VolumeLabels& labels_;
  SliceMask mask_;  // of whatever object is being written
  SectionedObjects sweep_;
};

}  // namespace

std::unique_ptr<FollowedObjects> sectioned_objects(const VolumeTask& task, SliceAnswers& answers) {
  return std::make_unique<SectionedObjects>(task, answers);
}

std::unique_ptr<FollowedObjects> sectioned_objects(const VolumeTask& task, VolumeLabels& labels) {
  return std::make_unique<LabeledObjects>(task, labels);
}

}  // namespace medsam
