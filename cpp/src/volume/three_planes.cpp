// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/three_planes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "base/number_text.hpp"
#include "medsam/error.hpp"
#include "model/upsampled_logits.hpp"
#include "volume/followed_objects.hpp"
#include "volume/slice_boxes.hpp"
#include "volume/volume_labels.hpp"

namespace medsam {

namespace {

constexpr double kMostRatio = 1.5;         // of the longest side of a voxel to the shortest
constexpr std::int64_t kLeastPlanes = 16;  // along each axis: a plane of fewer rows shows no object
constexpr float kMostLogit = 8;            // so that no plane outvotes the two others by mere confidence
/// Of fused logits that are kept at once; the box of one object may take more.
constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;

using Sizes = std::array<std::int64_t, 3>;  // by array axis: z, y, x

/// Whole voxels of a volume, in inclusive indices by array axis.
struct VoxelRange {
  Sizes first{}, last{};

  [[nodiscard]] std::int64_t count(int axis) const {
    const auto a = static_cast<std::size_t>(axis);
    return std::max<std::int64_t>(0, last[a] - first[a] + 1);
  }
  [[nodiscard]] std::int64_t voxels() const { return count(0) * count(1) * count(2); }
};

/// The voxels that a checked box touches, on the slices that the profile does.
VoxelRange range_of(const Box3D& box, const Sizes& sizes, ZRange rule) {
  const SliceRange slices = slice_range(box, sizes[0], rule);
  const auto end = [](double v, std::int64_t size) {
    return std::min(static_cast<std::int64_t>(std::ceil(v)), size - 1);
  };
  const auto start = [](double v, std::int64_t size) { return std::min(static_cast<std::int64_t>(v), size - 1); };
  return {{slices.low, start(box.y0, sizes[1]), start(box.x0, sizes[2])},
          {slices.high, end(box.y1, sizes[1]), end(box.x1, sizes[2])}};
}

/// A box as one of the slices that the planes along `axis` are: their coordinates, as they are encoded, and the planes
/// that the box touches.
Box3D along(int axis, const Box3D& box, const VoxelRange& range, const EncodedSize& size) {
  const double low[3] = {box.z0, box.y0, box.x0}, high[3] = {box.z1, box.y1, box.x1};
  const int x = column_axis(axis), y = row_axis(axis);
  const auto last = [](double v, std::int64_t count) { return std::min(v, static_cast<double>(count - 1)); };
  const Box flat = encoded_box(size, {low[x], low[y], last(high[x], size.columns.from), last(high[y], size.rows.from)});
  if (axis == 0) return {flat.x0, flat.y0, box.z0, flat.x1, flat.y1, box.z1};
  const auto a = static_cast<std::size_t>(axis);
  return {flat.x0, flat.y0, static_cast<double>(range.first[a]), flat.x1, flat.y1, static_cast<double>(range.last[a])};
}

/// The answers of three sweeps in the box of one object.
struct FusedBox {
  explicit FusedBox(const VoxelRange& of) : range(of), sum(static_cast<std::size_t>(of.voxels())) {
    for (int axis = 0; axis < 3; ++axis) ratings[axis].resize(static_cast<std::size_t>(of.count(axis)));
  }

  VoxelRange range;
  std::vector<float> sum;         // of clipped logits: (z, y, x) of the range
  std::vector<float> ratings[3];  // by plane of the range
};

/// What the sweeps of some objects have in their boxes.
class FusedBoxes final : public SliceAnswers {
 public:
  FusedBoxes(const Sizes& sizes, const std::vector<VoxelRange>& ranges) : sizes_(sizes) {
    for (const VoxelRange& range : ranges) boxes_.emplace_back(range);
  }

  /// What is taken next is of planes along this axis.
  void begin(int axis) { axis_ = axis; }

  void take(std::size_t object, std::int64_t index, const LogitMap& logits, float rating,
            const ImageGeometry& geometry) override {
    FusedBox& box = boxes_[object];
    // The plane's own pixels, also where it was resampled for the encoder.
    ImageGeometry own = geometry;
    const auto y_axis = static_cast<std::size_t>(row_axis(axis_)),
               x_axis = static_cast<std::size_t>(column_axis(axis_));
    own.height = sizes_[y_axis];
    own.width = sizes_[x_axis];
    UpsampledLogits values({logits, own});
    const VoxelRange& range = box.range;
    const std::int64_t step[3] = {range.count(1) * range.count(2), range.count(2), 1};
    const std::int64_t place = index - range.first[static_cast<std::size_t>(axis_)];
    box.ratings[axis_][static_cast<std::size_t>(place)] = rating;
    for (std::int64_t y = range.first[y_axis]; y <= range.last[y_axis]; ++y) {
      values.set_row(y);
      float* to = box.sum.data() + place * step[axis_] + (y - range.first[y_axis]) * step[y_axis];
      for (std::int64_t x = range.first[x_axis]; x <= range.last[x_axis]; ++x, to += step[x_axis]) {
        *to += std::clamp(values.at(x), -kMostLogit, kMostLogit);
      }
    }
  }

  /// Adds the masks, as objects `first`, `first` + 1, ...
  void write(std::size_t first, SliceMask& mask, VolumeLabels& labels) const {
    for (std::size_t i = 0; i < boxes_.size(); ++i) {
      const VoxelRange& range = boxes_[i].range;
      for (std::int64_t z = range.first[0]; z <= range.last[0]; ++z) {
        const MaskStats stats = write_slice(boxes_[i], z, mask.view());
        labels.add(first + i, z, mask.view(), stats);
      }
    }
  }

 private:
  /// A slice of the mask into an empty one of u8. Its rating is the mean of those of the planes through its voxels.
  static MaskStats write_slice(const FusedBox& box, std::int64_t z, const LabelView& mask) {
    const VoxelRange& range = box.range;
    const std::int64_t columns = range.count(2);
    const float* sum = box.sum.data() + (z - range.first[0]) * range.count(1) * columns;
    MaskStats stats{0, mask.width, mask.height, -1, -1, 0};
    double ratings = 0;
    for (std::int64_t y = 0; y < range.count(1); ++y, sum += columns) {
      const std::int64_t row = range.first[1] + y;
      auto* to = static_cast<std::uint8_t*>(mask.data) + row * mask.row_stride + range.first[2];
      for (std::int64_t x = 0; x < columns; ++x) {
        if (!(sum[x] > 0)) continue;
        to[x] = 1;
        ++stats.area;
        ratings += box.ratings[1][static_cast<std::size_t>(y)] + box.ratings[2][static_cast<std::size_t>(x)];
        stats.x0 = std::min(stats.x0, range.first[2] + x);
        stats.x1 = std::max(stats.x1, range.first[2] + x);
        stats.y0 = std::min(stats.y0, row);
        stats.y1 = row;
      }
    }
    if (stats.area == 0) return {0, 0, 0, -1, -1, 0};
    const float own = box.ratings[0][static_cast<std::size_t>(z - range.first[0])];
    stats.iou = static_cast<float>((own + ratings / static_cast<double>(stats.area)) / 3);
    return stats;
  }

  Sizes sizes_;
  std::vector<FusedBox> boxes_;
  int axis_ = 0;
};

/// Objects `first` to `end` - 1, whose fused logits are kept at once.
struct Part {
  std::size_t first = 0, end = 0;
};

std::vector<Part> parts_of(const std::vector<VoxelRange>& ranges) {
  constexpr std::int64_t kMost = kMostBytes / static_cast<std::int64_t>(sizeof(float));
  std::vector<Part> parts;
  std::int64_t voxels = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    voxels += ranges[i].voxels();
    if (parts.empty() || voxels > kMost) {
      parts.push_back({i, i});
      voxels = ranges[i].voxels();
    }
    parts.back().end = i + 1;
  }
  return parts;
}

std::string sides_text(double x, double y, double z) {
  return number_text(x) + " x " + number_text(y) + " x " + number_text(z) + " mm (x, y, z)";
}

}  // namespace

void check_three_planes(const VolumeView& volume, const Profile& profile, const VolumeOptions& options) {
  const double x = options.spacing_x, y = options.spacing_y, z = options.spacing_z;
  if (x == 0 && y == 0 && z == 0) {
    throw InvalidArgument(
        "planes: got three planes without the spacing of the volume, expected the mm between its voxels; give the "
        "spacing, or ask for slices alone");
  }
  static_cast<void>(checked_spacing(x, "x"));
  static_cast<void>(checked_spacing(y, "y"));
  static_cast<void>(checked_spacing(z, "z"));
  const auto [least, most] = std::minmax({x, y, z});
  if (most > kMostRatio * least) {
    throw InvalidArgument("planes: got three planes for voxels of " + sides_text(x, y, z) +
                          ", expected sides of which the longest is at most " + number_text(kMostRatio) +
                          " times the shortest; ask for slices alone");
  }
  if (std::min({volume.depth, volume.height, volume.width}) < kLeastPlanes) {
    throw InvalidArgument("planes: got three planes for a volume of " + std::to_string(volume.depth) + " x " +
                          std::to_string(volume.height) + " x " + std::to_string(volume.width) +
                          " voxels (z, y, x), expected " + std::to_string(kLeastPlanes) +
                          " or more along each axis; ask for slices alone");
  }
  if (profile.volume.follow == Follow::sections && profile.mask.upsample == MaskUpsample::logits) return;
  throw InvalidArgument("planes: got three planes with the profile \"" + profile.name +
                        "\", expected one that asks about each slice for itself, such as \"clinical\"; use that, or "
                        "ask for slices alone");
}

std::vector<VolumeStats> follow_in_three_planes(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                                const Profile& profile, const EncodePlane& encode, Model& model,
                                                const LabelVolumeView& out, const VolumeOptions& options) {
  const Sizes sizes{volume.depth, volume.height, volume.width};
  const double spacing[3] = {options.spacing_z, options.spacing_y, options.spacing_x};
  Profile across = profile;  // a box has no slice too many along the other axes
  across.volume.z_range = ZRange::closed;
  std::vector<VoxelRange> ranges;
  ranges.reserve(boxes.size());
  for (const Box3D& box : boxes) ranges.push_back(range_of(box, sizes, profile.volume.z_range));
  VolumeLabels labels(out, boxes, profile.mask.overlap);
  SliceMask mask(volume.height, volume.width, LabelType::u8);

  struct Sweep {  // stays where it is: `objects` refer to `boxes`
    SliceSizes slices;
    EncodedSize size;
    std::vector<Box3D> boxes;
    std::unique_ptr<FollowedObjects> objects;
  };
  const auto begin = [&](Sweep& sweep, int axis, const Part& part, FusedBoxes& fused) {
    const int x = column_axis(axis), y = row_axis(axis);
    sweep.size =
        encoded_size(sizes[static_cast<std::size_t>(y)], sizes[static_cast<std::size_t>(x)], spacing[y], spacing[x]);
    sweep.slices = {sizes[static_cast<std::size_t>(axis)], sweep.size.rows.to, sweep.size.columns.to};
    for (std::size_t i = part.first; i < part.end; ++i)
      sweep.boxes.push_back(along(axis, boxes[i], ranges[i], sweep.size));
    sweep.objects = sectioned_objects({sweep.slices, sweep.boxes, axis == 0 ? profile : across, model}, fused);
  };
  const std::vector<Part> parts = parts_of(ranges);
  VolumeProgress progress;
  FusedBoxes none(sizes, {});
  for (const Part& part : parts) {
    for (int axis = 0; axis < 3; ++axis) {
      Sweep counted;
      begin(counted, axis, part, none);
      progress.total += static_cast<std::int64_t>(counted.objects->visits().size());
    }
  }
  for (const Part& part : parts) {
    std::vector<VoxelRange> of(ranges.begin() + static_cast<std::ptrdiff_t>(part.first),
                               ranges.begin() + static_cast<std::ptrdiff_t>(part.end));
    FusedBoxes fused(sizes, of);
    std::array<Sweep, 3> sweeps;
    for (int axis = 0; axis < 3; ++axis) begin(sweeps[static_cast<std::size_t>(axis)], axis, part, fused);
    for (int axis = 0; axis < 3; ++axis) {
      const Sweep& sweep = sweeps[static_cast<std::size_t>(axis)];
      fused.begin(axis);
      run_visits(
          *sweep.objects, [&](std::int64_t index, bool again) { return encode(axis, index, sweep.size, again); },
          options.cancelled,
          [&] {
            ++progress.done;
            if (options.progress) options.progress(progress);
          });
    }
    fused.write(part.first, mask, labels);
  }
  return labels.stats();
}

}  // namespace medsam
