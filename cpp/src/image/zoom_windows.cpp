// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/zoom_windows.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

namespace medsam {

namespace {

constexpr double kGrowth = 1.25;         // of the windows' least side, while there are too many windows
constexpr double kFirstSide = 1.0 / 32;  // what that side becomes first, in longer sides of the image

struct SmallBox {
  std::size_t index = 0;  // in the call
  Box box;
  double side = 0;  // the longer one, in pixels
};

std::int64_t rounded(double v) { return static_cast<std::int64_t>(std::floor(v + 0.5)); }

struct Span {
  std::int64_t first, end;
};

/// `length` pixels of `size`, or all, round the middle of a box's side, moved into the image.
Span span(double low, double high, double length, std::int64_t size) {
  const std::int64_t taken = std::min(rounded(length), size);
  const double center = (low + high + 1) / 2;
  const std::int64_t first =
      std::clamp<std::int64_t>(rounded(center - static_cast<double>(taken) / 2), 0, size - taken);
  return {first, first + taken};
}

/// One pass: the rules with windows of at least `least` pixels.
class Sharing {
 public:
  Sharing(const ZoomRules& rules, std::int64_t height, std::int64_t width, double least)
      : rules_(rules), height_(height), width_(width), least_(least) {}

  /// False where that would make more than `most` windows: then the boxes that would need more have none.
  bool place(const std::vector<SmallBox>& boxes, std::size_t most) {
    bool enough = true;
    const double largest = rules_.most_of_image * static_cast<double>(std::max(height_, width_));
    for (const SmallBox& small : boxes) {
      if (std::max(rules_.side * small.side, least_) > largest) continue;
      if (ZoomWindow* window = smallest_serving(small)) {
        window->boxes.push_back(small.index);
        continue;
      }
      if (windows_.size() < most) {
        windows_.push_back({own(small), {small.index}});
      } else {
        enough = false;
      }
    }
    return enough;
  }

  std::vector<ZoomWindow> take() {
    for (ZoomWindow& window : windows_) std::sort(window.boxes.begin(), window.boxes.end());
    return std::move(windows_);
  }

 private:
  [[nodiscard]] PixelBox own(const SmallBox& small) const {
    const double side = std::max(rules_.side * small.side, least_);
    const Span across = span(small.box.x0, small.box.x1, side, width_);
    const Span down = span(small.box.y0, small.box.y1, side, height_);
    return {across.first, down.first, across.end, down.end};
  }

  static double side_of(const PixelBox& part) {
    return static_cast<double>(std::max(part.x1 - part.x0, part.y1 - part.y0));
  }

  [[nodiscard]] bool serves(const PixelBox& part, const SmallBox& small) const {
    const double side = side_of(part);
    // A window of the least side is as large as it is for another reason than its first box: it serves whatever fits.
    if (side < rules_.least_side * small.side) return false;
    if (side > std::max(rules_.most_side * small.side, std::ceil(least_))) return false;
    const double margin = rules_.margin * small.side;
    const Box& box = small.box;
    const auto fits = [&](double low, double high, std::int64_t first, std::int64_t end, std::int64_t size) {
      return (low - margin >= static_cast<double>(first) || first == 0) &&
             (high + 1 + margin <= static_cast<double>(end) || end == size);
    };
    return fits(box.x0, box.x1, part.x0, part.x1, width_) && fits(box.y0, box.y1, part.y0, part.y1, height_);
  }

  ZoomWindow* smallest_serving(const SmallBox& small) {
    ZoomWindow* best = nullptr;
    for (ZoomWindow& window : windows_) {
      if (!serves(window.part, small)) continue;
      if (best == nullptr || side_of(window.part) < side_of(best->part)) best = &window;  // the earlier of equal ones
    }
    return best;
  }

  const ZoomRules& rules_;
  std::int64_t height_, width_;
  double least_;
  std::vector<ZoomWindow> windows_;
};

}  // namespace

std::vector<ZoomWindow> zoom_windows(const ZoomRules& rules, std::int64_t height, std::int64_t width,
                                     const std::vector<Box>& boxes) {
  const auto longest = static_cast<double>(std::max(height, width));
  std::vector<SmallBox> small;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Box& box = boxes[i];
    const double side = std::max(box.x1 - box.x0, box.y1 - box.y0) + 1;
    if (rules.side * side <= rules.most_of_image * longest) small.push_back({i, box, side});
  }
  // By what boxes are, not by their places, so that the windows do not depend on the order of the boxes.
  const auto key = [](const SmallBox& s) {
    return std::make_tuple(-s.side, s.box.y0, s.box.x0, s.box.y1, s.box.x1, s.index);
  };
  std::sort(small.begin(), small.end(), [&](const SmallBox& a, const SmallBox& b) { return key(a) < key(b); });
  const std::size_t most =
      static_cast<std::size_t>(rules.least_windows) + small.size() / static_cast<std::size_t>(rules.boxes_per_window);
  const double largest = rules.most_of_image * longest;
  for (double least = 0;; least = std::min(largest, std::max(kGrowth * least, kFirstSide * longest))) {
    Sharing sharing(rules, height, width, least);
    if (sharing.place(small, most)) return sharing.take();
    // Even of the largest windows there are too many: those that there may be serve what they can.
    if (least >= largest) return sharing.take();
  }
}

}  // namespace medsam
