// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Follow::propagate: the mask of an object on a slice says where the model is asked on the next one.
#include <algorithm>
#include <optional>
#include <utility>

#include "model/prediction.hpp"
#include "volume/followed_objects.hpp"
#include "volume/propagation.hpp"

namespace medsam {

namespace {

enum class Direction { up, down };

struct Object {
  Box box;  // in its slice
  SliceRange range;
  // The box for the next slice of each direction; absent = the user's box.
  std::optional<PromptBox> next[2];
};

struct Plan {
  std::vector<Visit> visits;
  std::vector<Direction> directions;  // of the visits
};

Plan plan_visits(const std::vector<Object>& objects, std::int64_t depth) {
  Plan plan;
  std::vector<Visit>& visits = plan.visits;
  std::vector<std::ptrdiff_t> first(static_cast<std::size_t>(depth), -1);  // visit of a slice in the upward sweep
  const auto add = [&](std::int64_t z, Direction direction) {
    Visit visit{z, false, {}};
    for (std::size_t i = 0; i < objects.size(); ++i) {
      const SliceRange& r = objects[i].range;
      const bool here = direction == Direction::up ? z >= r.middle && z <= r.high : z < r.middle && z >= r.low;
      if (here) visit.objects.push_back(i);
    }
    if (visit.objects.empty()) return;
    auto& seen = first[static_cast<std::size_t>(z)];
    if (direction == Direction::up) {
      seen = static_cast<std::ptrdiff_t>(visits.size());
    } else if (seen >= 0) {
      visits[static_cast<std::size_t>(seen)].again = true;
    }
    visits.push_back(std::move(visit));
    plan.directions.push_back(direction);
  };
  for (std::int64_t z = 0; z < depth; ++z) add(z, Direction::up);
  for (std::int64_t z = depth - 1; z >= 0; --z) add(z, Direction::down);
  return plan;
}

class PropagatedObjects final : public FollowedObjects {
 public:
  PropagatedObjects(const VolumeTask& task, VolumeLabels& labels)
      : profile_(task.profile),
        rules_(task.profile.volume),
        model_(task.model),
        decoder_(task.model.decoder()),
        labels_(labels),
        slices_(task.slices),
        mask_(slices_.height, slices_.width, mask_type(task.profile.volume)) {
    for (std::size_t i = 0; i < task.boxes.size(); ++i) {
      const Box3D& b = task.boxes[i];
      Object object;
      object.box = checked_box({b.x0, b.y0, b.x1, b.y1}, slices_.height, slices_.width, static_cast<std::int64_t>(i));
      object.range = slice_range(b, slices_.depth, rules_.z_range);
      objects_.push_back(object);
    }
    Plan plan = plan_visits(objects_, slices_.depth);
    visits_ = std::move(plan.visits);
    directions_ = std::move(plan.directions);
  }

  void run(std::size_t n, const detail::EmbeddingData& embedding, const std::function<bool()>& cancelled) override {
    const Visit& visit = visits_[n];
    slices_.check_fits(embedding.geometry, visit.z);
    const std::vector<PromptTokens> tokens =
        visit_tokens(visit, directions_[n], model_.context(embedding, profile_.prompt));
    best_.assign(visit.objects.size(), {});
    const backends::MapPart part =
        looked_at(embedding.geometry, profile_.mask, decoder_.low_height(), decoder_.low_width());
    decoder_.decode(embedding, tokens, {{0}, part}, cancelled, [&](std::size_t i, const Decoder::Answer& answer) {
      Best& best = best_[owner_[i]];
      // The propagated box is asked first and keeps its place on a tie.
      if (best.logits.tensor && answer.iou[0] <= best.iou) return;
      best.iou = answer.iou[0];
      best.logits = {answer.logits, answer.row, decoder_.low_height(), decoder_.low_width()};
    });
    for (std::size_t i = 0; i < visit.objects.size(); ++i) {
      write_slice(visit.objects[i], visit.z, directions_[n], best_[i], embedding.geometry);
    }
  }

 private:
  struct Best {
    float iou = 0;
    LogitMap logits;
  };

  static LabelType mask_type(const VolumeRules& rules) {
    const bool wide = rules.next_box == NextBox::label_map && rules.label_type == LabelType::u16;
    return wide ? LabelType::u16 : LabelType::u8;
  }

  static std::size_t side(Direction direction) { return direction == Direction::up ? 0 : 1; }

  std::vector<PromptTokens> visit_tokens(const Visit& visit, Direction direction, const PromptContext& context) {
    std::vector<PromptTokens> tokens;
    owner_.clear();
    const auto ask = [&](std::size_t owner, const PromptBox& box) {
      tokens.push_back(box_tokens(box.corners, box.crop_box, context));
      owner_.push_back(owner);
    };
    for (std::size_t i = 0; i < visit.objects.size(); ++i) {
      const Object& object = objects_[visit.objects[i]];
      const bool start = visit.z == object.range.middle;
      const BoxRounding fallback =
          direction == Direction::down ? rules_.down_fallback_rounding : profile_.prompt.box_rounding;
      const PromptBox user =
          user_prompt_box(context.geometry, object.box, start ? profile_.prompt.box_rounding : fallback);
      const std::optional<PromptBox>& next = object.next[side(direction)];
      if (!start && next) ask(i, *next);
      if (start || !next || rules_.choice == MaskChoice::best_iou) ask(i, user);
    }
    return tokens;
  }

  void write_slice(std::size_t i, std::int64_t z, Direction direction, const Best& best,
                   const ImageGeometry& geometry) {
    Object& object = objects_[i];
    const LabelView mask = mask_.view();
    MaskStats stats = write_label(best.logits, geometry, profile_.mask, mask, mask_value(i));
    stats.iou = best.iou;
    std::optional<PromptBox> next = next_box(object, geometry, stats);
    object.next[side(direction)] = next;
    if (z == object.range.middle) object.next[side(Direction::down)] = next;
    labels_.add(i, z, mask, stats);
  }

  // The value in an object's own mask. The published label maps are u8; a label beyond their range acts as the largest.
  [[nodiscard]] std::uint32_t mask_value(std::size_t i) const {
    if (rules_.next_box != NextBox::label_map) return 1;
    return static_cast<std::uint32_t>(std::min<std::size_t>(i + 1, mask_.type() == LabelType::u16 ? 0xffff : 0xff));
  }

  [[nodiscard]] std::optional<PromptBox> next_box(const Object& object, const ImageGeometry& geometry,
                                                  const MaskStats& stats) {
    PromptBox next;
    if (!next_prompt_box(geometry, rules_, profile_.prompt.box_rounding, mask_.view(), stats, next))
      return std::nullopt;
    if (!rules_.within_user_box) return next;
    const PromptBox user = user_prompt_box(geometry, object.box, profile_.prompt.box_rounding);
    for (int i = 0; i < 2; ++i) {
      next.corners[i] = std::max(next.corners[i], user.corners[i]);
      next.corners[i + 2] = std::min(next.corners[i + 2], user.corners[i + 2]);
      if (next.corners[i] > next.corners[i + 2]) return std::nullopt;  // the mask lies outside the user's box
    }
    next.crop_box = {std::max(next.crop_box.x0, user.crop_box.x0), std::max(next.crop_box.y0, user.crop_box.y0),
                     std::min(next.crop_box.x1, user.crop_box.x1), std::min(next.crop_box.y1, user.crop_box.y1)};
    if (next.crop_box.x0 >= next.crop_box.x1 || next.crop_box.y0 >= next.crop_box.y1) next.crop_box = user.crop_box;
    return next;
  }

  const Profile& profile_;
  const VolumeRules& rules_;
  Model& model_;
  Decoder& decoder_;
  VolumeLabels& labels_;
  SliceSizes slices_;
  std::vector<Object> objects_;
  std::vector<Direction> directions_;  // of the visits
  SliceMask mask_;                     // of whatever object is being written
  std::vector<std::size_t> owner_;     // prompt -> place in the visit's objects
  std::vector<Best> best_;             // by place in the visit's objects
};

}  // namespace

std::unique_ptr<FollowedObjects> propagated_objects(const VolumeTask& task, VolumeLabels& labels) {
  return std::make_unique<PropagatedObjects>(task, labels);
}

}  // namespace medsam
