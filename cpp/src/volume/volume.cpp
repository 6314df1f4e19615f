// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/volume.hpp"

#include <algorithm>
#include <cstring>
#include <future>

#include "image/views.hpp"
#include "medsam/error.hpp"
#include "model/prediction.hpp"

namespace medsam {

namespace {

enum class Direction { up, down };

struct Object {
  Box box;  // in its slice
  SliceRange range;
  std::uint32_t label = 0;
  // The box for the next slice of each direction; absent = the user's box.
  std::optional<PromptBox> next[2];
  VolumeStats stats;
  double iou_sum = 0;  // of its slices, times their pixels
};

struct Visit {
  std::int64_t z = 0;
  Direction direction = Direction::up;
  std::vector<std::size_t> objects;  // in the order of their labels
  bool again = false;                // the slice is visited once more later
};

std::vector<Visit> plan_visits(const std::vector<Object>& objects, std::int64_t depth) {
  std::vector<Visit> visits;
  std::vector<std::ptrdiff_t> first(static_cast<std::size_t>(depth), -1);  // visit of a slice in the upward sweep
  const auto add = [&](std::int64_t z, Direction direction) {
    Visit visit{z, direction, {}, false};
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
  };
  for (std::int64_t z = 0; z < depth; ++z) add(z, Direction::up);
  for (std::int64_t z = depth - 1; z >= 0; --z) add(z, Direction::down);
  return visits;
}

// A voxel goes to the object of the higher rank, in whatever order slices and objects are done. ranks[0] is
// background's, the lowest.
template <class T, class M>
void merge_rows(const LabelView& out, const M* mask, const MaskStats& stats, std::uint32_t label,
                const std::vector<std::uint32_t>& ranks) {
  const auto value = static_cast<T>(label);
  const std::uint32_t rank = ranks[label];
  for (std::int64_t y = stats.y0; y <= stats.y1; ++y) {
    T* row = reinterpret_cast<T*>(static_cast<char*>(out.data) + y * out.row_stride);
    const M* from = mask + y * out.width;
    for (std::int64_t x = stats.x0; x <= stats.x1; ++x) {
      if (from[x] != 0 && ranks[row[x]] < rank) row[x] = value;
    }
  }
}

template <class M>
void merge(const LabelView& out, const M* mask, const MaskStats& stats, std::uint32_t label,
           const std::vector<std::uint32_t>& ranks) {
  switch (out.type) {
    case LabelType::u8:
      return merge_rows<std::uint8_t>(out, mask, stats, label, ranks);
    case LabelType::u16:
      return merge_rows<std::uint16_t>(out, mask, stats, label, ranks);
    case LabelType::u32:
      return merge_rows<std::uint32_t>(out, mask, stats, label, ranks);
  }
}

void add_slice(Object& object, const MaskStats& slice, std::int64_t z) {
  if (slice.area == 0) return;
  VolumeStats& total = object.stats;
  if (total.voxels == 0) {
    total = {0, slice.x0, slice.y0, z, slice.x1, slice.y1, z, 0};
  }
  total.voxels += slice.area;
  total.x0 = std::min(total.x0, slice.x0);
  total.y0 = std::min(total.y0, slice.y0);
  total.z0 = std::min(total.z0, z);
  total.x1 = std::max(total.x1, slice.x1);
  total.y1 = std::max(total.y1, slice.y1);
  total.z1 = std::max(total.z1, z);
  object.iou_sum += static_cast<double>(slice.iou) * static_cast<double>(slice.area);
  total.iou = static_cast<float>(object.iou_sum / static_cast<double>(total.voxels));
}

/// The mask of one object in one slice: values and sizes in one place. Rows are dense.
class SliceMask {
 public:
  SliceMask(std::int64_t height, std::int64_t width, LabelType type)
      : height_(height), width_(width), type_(type), values_(static_cast<std::size_t>(height * width * bytes_each())) {}
  [[nodiscard]] LabelView view() { return {values_.data(), type_, height_, width_, width_ * bytes_each()}; }
  [[nodiscard]] const void* data() const { return values_.data(); }
  [[nodiscard]] LabelType type() const { return type_; }
  [[nodiscard]] bool fits(const ImageGeometry& geometry) const {
    return geometry.height == height_ && geometry.width == width_;
  }

 private:
  [[nodiscard]] std::int64_t bytes_each() const { return type_ == LabelType::u16 ? 2 : 1; }

  std::int64_t height_, width_;
  LabelType type_;
  std::vector<std::uint8_t> values_;
};

/// One volume's run: the objects' states and the buffers that every slice reuses.
class Propagation {
 public:
  Propagation(const VolumeView& volume, const std::vector<Box3D>& boxes, const Profile& profile, Model& model,
              const LabelVolumeView& out)
      : profile_(profile),
        rules_(profile.volume),
        model_(model),
        decoder_(model.decoder()),
        out_(out),
        mask_(volume.height, volume.width, mask_type(profile.volume)) {
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      const Box3D& b = boxes[i];
      Object object;
      object.box = checked_box({b.x0, b.y0, b.x1, b.y1}, volume.height, volume.width, static_cast<std::int64_t>(i));
      object.range = slice_range(b, volume.depth, rules_.z_range);
      object.label = static_cast<std::uint32_t>(i + 1);
      objects_.push_back(object);
    }
    std::vector<double> sizes;
    sizes.reserve(boxes.size());
    for (const Box3D& b : boxes) sizes.push_back((b.x1 - b.x0 + 1) * (b.y1 - b.y0 + 1) * (b.z1 - b.z0 + 1));
    ranks_.assign(boxes.size() + 1, 0);
    std::uint32_t rank = 0;
    for (const std::size_t i : paint_order(sizes, profile.mask.overlap)) ranks_[i + 1] = ++rank;
  }

  [[nodiscard]] std::vector<Visit> plan(std::int64_t depth) const { return plan_visits(objects_, depth); }

  void run(const Visit& visit, const detail::EmbeddingData& embedding, const std::function<bool()>& cancelled) {
    if (!mask_.fits(embedding.geometry)) {
      throw ModelError("volume: slice " + std::to_string(visit.z) + " got the embedding of an image of " +
                       std::to_string(embedding.geometry.height) + " x " + std::to_string(embedding.geometry.width) +
                       ", expected one of its own size; clear the embedding cache and store");
    }
    const std::vector<PromptTokens> tokens = visit_tokens(visit, model_.context(embedding, profile_.prompt));
    best_.assign(visit.objects.size(), {});
    const backends::MapPart part =
        looked_at(embedding.geometry, profile_.mask, decoder_.low_height(), decoder_.low_width());
    decoder_.decode(embedding, tokens, {{0}, part}, cancelled, [&](std::size_t n, const Decoder::Answer& answer) {
      Best& best = best_[owner_[n]];
      // The propagated box is asked first and keeps its place on a tie.
      if (best.logits.tensor && answer.iou[0] <= best.iou) return;
      best.iou = answer.iou[0];
      best.logits = {answer.logits, answer.row, decoder_.low_height(), decoder_.low_width()};
    });
    for (std::size_t i = 0; i < visit.objects.size(); ++i) {
      write_slice(visit, objects_[visit.objects[i]], best_[i], embedding.geometry);
    }
  }

  [[nodiscard]] std::vector<VolumeStats> stats() const {
    std::vector<VolumeStats> stats;
    stats.reserve(objects_.size());
    for (const Object& object : objects_) stats.push_back(object.stats);
    return stats;
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

  std::vector<PromptTokens> visit_tokens(const Visit& visit, const PromptContext& context) {
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
          visit.direction == Direction::down ? rules_.down_fallback_rounding : profile_.prompt.box_rounding;
      const PromptBox user =
          user_prompt_box(context.geometry, object.box, start ? profile_.prompt.box_rounding : fallback);
      const std::optional<PromptBox>& next = object.next[side(visit.direction)];
      if (!start && next) ask(i, *next);
      if (start || !next || rules_.choice == MaskChoice::best_iou) ask(i, user);
    }
    return tokens;
  }

  void write_slice(const Visit& visit, Object& object, const Best& best, const ImageGeometry& geometry) {
    const LabelView mask = mask_.view();
    clear_labels(mask);
    MaskStats stats = write_label(best.logits, geometry, profile_.mask, mask, mask_value(object));
    stats.iou = best.iou;
    std::optional<PromptBox> next = next_box(object, geometry, stats);
    object.next[side(visit.direction)] = next;
    if (visit.z == object.range.middle) object.next[side(Direction::down)] = next;
    if (stats.area == 0) return;
    add_slice(object, stats, visit.z);
    const LabelView slice = slice_of(out_, visit.z);
    if (mask_.type() == LabelType::u16) {
      merge(slice, static_cast<const std::uint16_t*>(mask_.data()), stats, object.label, ranks_);
    } else {
      merge(slice, static_cast<const std::uint8_t*>(mask_.data()), stats, object.label, ranks_);
    }
  }

  // The value in an object's own mask. The published label maps are u8; a label beyond their range acts as the largest.
  [[nodiscard]] std::uint32_t mask_value(const Object& object) const {
    if (rules_.next_box != NextBox::label_map) return 1;
    return std::min<std::uint32_t>(object.label, mask_.type() == LabelType::u16 ? 0xffff : 0xff);
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
  const LabelVolumeView& out_;
  std::vector<Object> objects_;
  std::vector<std::uint32_t> ranks_;  // by label
  SliceMask mask_;                    // of whatever object is being written
  std::vector<std::size_t> owner_;    // prompt -> place in the visit's objects
  std::vector<Best> best_;            // by place in the visit's objects
};

}  // namespace

std::vector<VolumeStats> propagate(const VolumeView& volume, const std::vector<Box3D>& boxes, const Profile& profile,
                                   const EncodeSlice& encode, Model& model, const LabelVolumeView& out,
                                   const VolumeOptions& options) {
  Propagation propagation(volume, boxes, profile, model, out);
  const std::vector<Visit> visits = propagation.plan(volume.depth);
  const auto ahead = [&](std::size_t i) {
    return std::async(std::launch::async, [&, i] { return encode(visits[i].z, visits[i].again); });
  };
  std::future<ImageEmbedding> next;
  for (std::size_t i = 0; i < visits.size(); ++i) {
    if (options.cancelled && options.cancelled()) throw Cancelled("volume: cancelled by the caller");
    if (i == 0) next = ahead(0);
    const ImageEmbedding embedding = next.get();
    if (i + 1 < visits.size()) next = ahead(i + 1);
    propagation.run(visits[i], *embedding.impl(), options.cancelled);
    if (options.progress) {
      options.progress({static_cast<std::int64_t>(i + 1), static_cast<std::int64_t>(visits.size())});
    }
  }
  return propagation.stats();
}

}  // namespace medsam
