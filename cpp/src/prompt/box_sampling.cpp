// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "prompt/box_sampling.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <vector>

namespace medsam {
namespace {

/// splitmix64 (Steele et al., Fast splittable pseudorandom number generators, OOPSLA 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint32_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
  }

  /// Uniform in [low, high), whole; `low` where the range is empty.
  std::int64_t whole(std::int64_t low, std::int64_t high) {
    return high <= low ? low : low + ((std::int64_t{next()} * (high - low)) >> 32);
  }

 private:
  std::uint64_t state_;
};

// Fixed point: lengths have 16 fractional bits; a whole turn is 2^32, so that angles wrap by themselves.
constexpr std::int64_t kOne = 1 << 16;

std::int64_t uniform(Random& random, std::int64_t low, std::int64_t high) {
  return random.whole(low * kOne, high * kOne);
}

/// sin of a turn / 2^32, with 30 fractional bits; off by 1.1e-4 at most.
std::int64_t sine(std::uint32_t turn) {
  constexpr std::int64_t kQuarter = std::int64_t{1} << 30;
  // The least-squares odd polynomial of degree 5 for sin(pi / 2 t), t in [-1, 1].
  constexpr std::int64_t kA = 1686447742, kB = 690662087, kC = 78071983;
  std::int64_t t = static_cast<std::int32_t>(turn);
  if (t > kQuarter) t = 2 * kQuarter - t;
  if (t < -kQuarter) t = -2 * kQuarter - t;
  const std::int64_t squared = (t * t) >> 30;
  return (t * (kA - ((squared * (kB - ((squared * kC) >> 30))) >> 30))) >> 30;
}

std::int64_t cosine(std::uint32_t turn) { return sine(turn + (1U << 30)); }

struct Range {
  std::int64_t begin = 0, end = 0;  // half-open
};

/// Pixels in which to look or draw; inside the frame, possibly empty.
struct Region {
  Range x, y;
};

/// The published shift that narrows a box side of `length`: whole, in [int(length * low), int(length * high) - less),
/// or 0 where that range is empty (numpy's randint raises there, which the published code catches).
std::int64_t narrowing(Random& random, std::int64_t low, std::int64_t high) {
  return high <= low ? 0 : random.whole(low, high);
}

Range narrowed(double low, double high, std::int64_t shift) {
  // int() truncates after the shift; the sum is below 2^53 and exact enough for either sign.
  const auto by = static_cast<double>(shift);
  return {static_cast<std::int64_t>(low + by), static_cast<std::int64_t>(high - by)};
}

/// The foreground pixels of a region.
class Foreground {
 public:
  Foreground(const float* values, std::int64_t side) : values_(values), side_(side) {}

  bool at(std::int64_t x, std::int64_t y) const { return values_[y * side_ + x] > 0; }

  std::int64_t count(const Region& region) const {
    std::int64_t n = 0;
    for (std::int64_t y = region.y.begin; y < region.y.end; ++y) {
      for (std::int64_t x = region.x.begin; x < region.x.end; ++x) n += at(x, y);
    }
    return n;
  }

  /// Foreground pixel `index` of the region, which has more than that: x, y.
  std::array<std::int64_t, 2> pixel(const Region& region, std::int64_t index) const {
    for (std::int64_t y = region.y.begin; y < region.y.end; ++y) {
      for (std::int64_t x = region.x.begin; x < region.x.end; ++x) {
        if (at(x, y) && index-- == 0) return {x, y};
      }
    }
    return {region.x.begin, region.y.begin};  // not reached for a right index
  }

 private:
  const float* values_;
  std::int64_t side_;
};

struct Stroke {
  std::vector<std::array<std::int64_t, 2>> vertices;  // x, y; may lie outside the frame
  std::int64_t width = 0;
};

/// visual_sampler/mask_generators.py with the preset rand_curve of scribble_v2.py: a head of changing speed and
/// direction, then the whole line and half of its vertices moved.
Stroke random_stroke(Random& random, const std::array<std::int64_t, 2>& start) {
  constexpr std::int64_t kMaxSpeed = 20, kMaxAcceleration = 15;
  constexpr std::int64_t kMaxTurn = 341782638;  // 0.5 rad
  Stroke stroke;
  stroke.width = random.whole(3, 10);
  const std::int64_t steps = random.whole(10, 30);
  std::uint32_t angle = random.next();
  std::int64_t speed = uniform(random, 0, kMaxSpeed);
  std::int64_t x = start[0] * kOne, y = start[1] * kOne;
  std::vector<std::array<std::int64_t, 2>>& at = stroke.vertices;
  at.push_back({x, y});
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t faster = uniform(random, -kMaxAcceleration, kMaxAcceleration);
    speed = std::clamp<std::int64_t>(speed + faster, 0, kMaxSpeed * kOne);
    angle += static_cast<std::uint32_t>(random.whole(-kMaxTurn, kMaxTurn));
    x += (speed * sine(angle)) >> 30;
    y += (speed * cosine(angle)) >> 30;
    at.push_back({x, y});
  }
  // The line's own speed is |N(0, 3)|; the normal number is the sum of twelve uniform ones.
  std::int64_t normal = -6 * kOne;
  for (int i = 0; i < 12; ++i) normal += random.whole(0, kOne);
  const std::int64_t drift = 3 * std::abs(normal);
  angle = random.next();
  const std::int64_t dx = ((drift * cosine(angle)) >> 30) / kOne, dy = ((drift * sine(angle)) >> 30) / kOne;
  // Half of the vertices, chosen by a partial Fisher-Yates shuffle.
  std::vector<std::size_t> order(at.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = 0; i < order.size() / 2; ++i) {
    const auto j =
        static_cast<std::size_t>(random.whole(static_cast<std::int64_t>(i), static_cast<std::int64_t>(order.size())));
    std::swap(order[i], order[j]);
    at[order[i]][0] += random.whole(-3, 3) * kOne;
    at[order[i]][1] += random.whole(-3, 3) * kOne;
  }
  for (std::array<std::int64_t, 2>& v : at) v = {v[0] / kOne + dx, v[1] / kOne + dy};
  return stroke;
}

/// The stroke's pixels inside a region of the foreground.
class Canvas {
 public:
  Canvas(const Region& region, const Foreground& foreground) : region_(region), foreground_(foreground) {
    width_ = region.x.end - region.x.begin;
    pixels_.resize(static_cast<std::size_t>(width_ * (region.y.end - region.y.begin)));
  }

  void draw(const Stroke& stroke) {
    std::fill(pixels_.begin(), pixels_.end(), kEmpty);
    const auto& at = stroke.vertices;
    for (std::size_t i = 1; i < at.size(); ++i) segment(at[i - 1], at[i], stroke.width);
    for (const auto& v : at) disc(v, stroke.width / 2 - 1);
  }

  /// Leaves the largest 8-connected component, the first of equal ones, and returns its size.
  std::int64_t keep_largest() {
    std::int64_t best = 0, best_seed = -1;
    for (std::int64_t i = 0; i < size(); ++i) {
      if (pixels_[static_cast<std::size_t>(i)] != kDrawn) continue;
      const std::int64_t n = fill(i, kDrawn, kSeen);
      if (n > best) best = n, best_seed = i;
    }
    if (best_seed >= 0) fill(best_seed, kSeen, kKept);
    return best;
  }

  void write(float* scribble, std::int64_t side) const {
    for (std::int64_t i = 0; i < size(); ++i) {
      if (pixels_[static_cast<std::size_t>(i)] != kKept) continue;
      scribble[(region_.y.begin + i / width_) * side + region_.x.begin + i % width_] = 1;
    }
  }

 private:
  enum Pixel : std::uint8_t { kEmpty, kDrawn, kSeen, kKept };

  std::int64_t size() const { return static_cast<std::int64_t>(pixels_.size()); }

  /// Calls `inside(x, y)` for the foreground pixels within `reach` of the two points' bounding box; marks where true.
  template <class Inside>
  void mark(const std::array<std::int64_t, 2>& a, const std::array<std::int64_t, 2>& b, std::int64_t reach,
            Inside inside) {
    const std::int64_t x0 = std::max(region_.x.begin, std::min(a[0], b[0]) - reach);
    const std::int64_t x1 = std::min(region_.x.end, std::max(a[0], b[0]) + reach + 1);
    const std::int64_t y0 = std::max(region_.y.begin, std::min(a[1], b[1]) - reach);
    const std::int64_t y1 = std::min(region_.y.end, std::max(a[1], b[1]) + reach + 1);
    for (std::int64_t y = y0; y < y1; ++y) {
      for (std::int64_t x = x0; x < x1; ++x) {
        if (!foreground_.at(x, y) || !inside(x, y)) continue;
        pixels_[static_cast<std::size_t>((y - region_.y.begin) * width_ + x - region_.x.begin)] = kDrawn;
      }
    }
  }

  /// A bar of `width` pixels with flat ends, as ImageDraw.line draws it but for its rounding of slanted edges.
  void segment(const std::array<std::int64_t, 2>& a, const std::array<std::int64_t, 2>& b, std::int64_t width) {
    const std::int64_t dx = b[0] - a[0], dy = b[1] - a[1];
    const std::int64_t length2 = dx * dx + dy * dy;
    if (length2 == 0) return;
    mark(a, b, width / 2 + 1, [&](std::int64_t x, std::int64_t y) {
      const std::int64_t along = (x - a[0]) * dx + (y - a[1]) * dy;
      const std::int64_t across = (x - a[0]) * dy - (y - a[1]) * dx;
      if (along < 0 || along > length2) return false;
      // -width / 2 <= across / length < width / 2: exactly `width` pixels across an upright or level line.
      const std::int64_t distance = 4 * across * across, limit = width * width * length2;
      return distance < limit || (distance == limit && across < 0);
    });
  }

  /// Covers 2 radius + 1 pixels, as ImageDraw.ellipse from center - radius to center + radius.
  void disc(const std::array<std::int64_t, 2>& center, std::int64_t radius) {
    mark(center, center, radius, [&](std::int64_t x, std::int64_t y) {
      const std::int64_t dx = x - center[0], dy = y - center[1];
      return dx * dx + dy * dy <= radius * (radius + 1);
    });
  }

  /// Turns the 8-connected component of `from` that holds pixel `seed` into `to`; returns its size.
  std::int64_t fill(std::int64_t seed, Pixel from, Pixel to) {
    std::int64_t count = 0;
    stack_.assign(1, seed);
    pixels_[static_cast<std::size_t>(seed)] = to;
    while (!stack_.empty()) {
      const std::int64_t i = stack_.back();
      stack_.pop_back();
      ++count;
      const std::int64_t x = i % width_;
      for (std::int64_t row = i - x - width_; row <= i - x + width_; row += width_) {
        if (row < 0 || row >= size()) continue;
        for (std::int64_t j = row + std::max<std::int64_t>(x - 1, 0); j <= row + std::min(x + 1, width_ - 1); ++j) {
          if (pixels_[static_cast<std::size_t>(j)] != from) continue;
          pixels_[static_cast<std::size_t>(j)] = to;
          stack_.push_back(j);
        }
      }
    }
    return count;
  }

  Region region_;
  Foreground foreground_;
  std::int64_t width_ = 0;
  std::vector<Pixel> pixels_;
  std::vector<std::int64_t> stack_;
};

/// A box's corners inside the frame, as doubles.
struct Corners {
  double x0, y0, x1, y1;
};

double clamped(float value, std::int64_t side) {
  return value > 0 ? std::min(static_cast<double>(value), static_cast<double>(side)) : 0.0;  // NaN too is 0
}

/// get_points_256: each of x and y is drawn for itself from the quadrant's foreground pixels.
std::array<float, 2 * kSampledPoints> sample_points(Random& random, const Corners& box, const Foreground& foreground) {
  const double width = box.x1 - box.x0, height = box.y1 - box.y0;
  const auto whole = [](double v) { return static_cast<std::int64_t>(v); };
  const std::int64_t shift_x = narrowing(random, whole(width / 5), whole(2 * width / 4) - 1);
  const std::int64_t shift_y = narrowing(random, whole(height / 5), whole(2 * height / 4) - 1);
  const Range x = narrowed(box.x0, box.x1, shift_x), y = narrowed(box.y0, box.y1, shift_y);
  const std::int64_t mid_x = whole((box.x0 + box.x1) / 2), mid_y = whole((box.y0 + box.y1) / 2);
  const Range left{x.begin, mid_x}, right{mid_x, x.end}, upper{y.begin, mid_y}, lower{mid_y, y.end};
  const Region quadrants[kSampledPoints] = {{left, upper}, {left, lower}, {right, lower}, {right, upper}};
  std::array<float, 2 * kSampledPoints> points{};
  for (std::size_t i = 0; i < kSampledPoints; ++i) {
    const std::int64_t n = foreground.count(quadrants[i]);
    const std::int64_t px = n == 0 ? mid_x : foreground.pixel(quadrants[i], random.whole(0, n))[0];
    const std::int64_t py = n == 0 ? mid_y : foreground.pixel(quadrants[i], random.whole(0, n))[1];
    points[2 * i] = static_cast<float>(px);
    points[2 * i + 1] = static_cast<float>(py);
  }
  return points;
}

/// get_scribble_256 and visual_sampler/scribble_v2.py:draw.
void sample_scribble(Random& random, const Corners& box, const Foreground& foreground, std::int64_t side,
                     float* scribble) {
  constexpr int kTries = 6;
  constexpr std::int64_t kFewest = 6;  // pixels
  std::fill(scribble, scribble + side * side, 0.0F);
  const double width = box.x1 - box.x0, height = box.y1 - box.y0;
  const auto whole = [](double v) { return static_cast<std::int64_t>(v); };
  const std::int64_t shift_x = narrowing(random, whole(width / 8), whole(width / 6));
  const std::int64_t shift_y = narrowing(random, whole(height / 8), whole(height / 6));
  const Region region{narrowed(box.x0, box.x1, shift_x), narrowed(box.y0, box.y1, shift_y)};
  const std::int64_t n = foreground.count(region);
  if (n == 0) return;
  Canvas canvas(region, foreground);
  for (int i = 0; i < kTries; ++i) {
    canvas.draw(random_stroke(random, foreground.pixel(region, random.whole(0, n))));
    if (canvas.keep_largest() < kFewest) continue;
    canvas.write(scribble, side);
    return;
  }
}

}  // namespace

std::array<float, 2 * kSampledPoints> sample_box(const float corners[4], const float* foreground, std::int64_t side,
                                                 float* scribble) {
  const Corners box{clamped(corners[0], side), clamped(corners[1], side), clamped(corners[2], side),
                    clamped(corners[3], side)};
  std::uint64_t seed = 0;
  for (const double v : {box.x0, box.y0, box.x1, box.y1}) {
    Random mixer(seed ^ std::bit_cast<std::uint64_t>(v));
    seed = (std::uint64_t{mixer.next()} << 32) | mixer.next();
  }
  Random random(seed);
  const Foreground pixels(foreground, side);
  const std::array<float, 2 * kSampledPoints> points = sample_points(random, box, pixels);
  sample_scribble(random, box, pixels, side, scribble);
  return points;
}

}  // namespace medsam
