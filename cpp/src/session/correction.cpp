// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/correction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "session/distance.hpp"
#include "session/random_walker.hpp"

namespace medsam::session {

namespace {

constexpr float kSharpness = 2;                     // logits are divided by it before they become probabilities
constexpr float kBeside = 1e-3f;                    // how far from 0.5 a pixel is put that the mask says otherwise of
constexpr double kLeastReach = 2, kMostReach = 60;  // pixels
constexpr double kChange = 3;                       // what may change: within so many times the reach
constexpr double kCore = 0.4, kEarlierCore = 0.3;   // what is given: of the click, of earlier ones
constexpr double kHalfDiagonal = 0.71;              // at least the pixel itself
constexpr std::int64_t kMostSide = 96;              // of the walk's image
constexpr double kPull = 0.1;
constexpr double kPullSide = 60;  // pixels: the side at which kPull holds
constexpr double kLikelihood = 2, kMostLikelihood = 8;
constexpr double kTrust = 0.9;           // in the likeness to the click, at the click
constexpr double kOthers = 1.5;          // pixels of the other kind are those beyond so many times the reach
constexpr double kDeviationFloor = 0.1;  // of the region's deviation
constexpr std::int64_t kLeastOthers = 4;

/// The part of the plane that a click changes, reduced.
struct Region {
  PixelRegion part;
  Resampling down, across;
  std::vector<double> distance;  // from the click, in pixels of the plane

  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(down.to * across.to); }
  [[nodiscard]] double scale() const { return std::min(down.scale(), across.scale()); }
  /// The centers of the reduced pixels, in pixels of the plane.
  [[nodiscard]] double x_of(std::int64_t x) const {
    return (static_cast<double>(x) + 0.5) / across.scale() - 0.5 + static_cast<double>(part.x0);
  }
  [[nodiscard]] double y_of(std::int64_t y) const {
    return (static_cast<double>(y) + 0.5) / down.scale() - 0.5 + static_cast<double>(part.y0);
  }
};

Region region_of(const Probability& now, const Correction& click) {
  const auto reach = static_cast<std::int64_t>(std::ceil(kChange * click.radius)) + 1;
  Region region;
  region.part = {std::max(now.part.x0, click.x - reach), std::max(now.part.y0, click.y - reach),
                 std::min(now.part.x1, click.x + reach + 1), std::min(now.part.y1, click.y + reach + 1)};
  const double scale = std::min(
      1.0, static_cast<double>(kMostSide) / static_cast<double>(std::max(region.part.rows(), region.part.columns())));
  const auto reduced = [&](std::int64_t side) {
    return std::max<std::int64_t>(1, std::llround(static_cast<double>(side) * scale));
  };
  region.down = {region.part.rows(), reduced(region.part.rows())};
  region.across = {region.part.columns(), reduced(region.part.columns())};
  for (std::int64_t y = 0; y < region.down.to; ++y) {
    for (std::int64_t x = 0; x < region.across.to; ++x) {
      region.distance.push_back(
          std::hypot(region.x_of(x) - static_cast<double>(click.x), region.y_of(y) - static_cast<double>(click.y)));
    }
  }
  return region;
}

std::vector<float> part_of(const Probability& now, const PixelRegion& part) {
  std::vector<float> values;
  for (std::int64_t y = part.y0; y < part.y1; ++y) {
    const float* first = &now.at(part.x0, y);
    values.insert(values.end(), first, first + part.columns());
  }
  return values;
}

/// Mean and deviation of each channel over some pixels.
struct Colors {
  std::vector<double> mean, deviation;
  std::int64_t count = 0;
};

template <class Takes>
Colors colors_of(const WalkerProblem& problem, Takes&& takes) {
  const auto channels = static_cast<std::size_t>(problem.channels);
  Colors colors{std::vector<double>(channels), std::vector<double>(channels), 0};
  for (std::size_t i = 0; i < problem.target.size(); ++i) {
    if (!takes(i)) continue;
    ++colors.count;
    for (std::size_t c = 0; c < channels; ++c) {
      const double v = problem.image[i * channels + c];
      colors.mean[c] += v;
      colors.deviation[c] += v * v;
    }
  }
  const auto n = static_cast<double>(std::max<std::int64_t>(1, colors.count));
  for (std::size_t c = 0; c < channels; ++c) {
    colors.mean[c] /= n;
    colors.deviation[c] = std::sqrt(std::max(0.0, colors.deviation[c] / n - colors.mean[c] * colors.mean[c]));
  }
  return colors;
}

/// Draws wrong pixels that look like the click's towards it: two normal distributions, of the pixels round the click
/// and of the wrong kind's farther away.
void draw_to_likeness(const Region& region, const Correction& click, WalkerProblem& problem) {
  const double r = click.radius;
  const auto wrong = [&](std::size_t i) { return click.positive == (problem.target[i] <= 0.5); };
  const double near = std::max(r, kHalfDiagonal / region.scale());
  const Colors here = colors_of(problem, [&](std::size_t i) { return region.distance[i] <= near; });
  const Colors others = colors_of(problem, [&](std::size_t i) {
    return wrong(i) && region.distance[i] > kOthers * r && region.distance[i] <= kChange * r;
  });
  if (here.count < 1 || others.count < kLeastOthers) return;
  const Colors all = colors_of(problem, [](std::size_t) { return true; });
  const auto channels = static_cast<std::size_t>(problem.channels);
  std::vector<double> made = problem.target;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (!wrong(i)) continue;
    double likelihood = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double floor = kDeviationFloor * all.deviation[c] + 1, v = problem.image[i * channels + c];
      const double a = here.deviation[c] + floor, b = others.deviation[c] + floor;
      const double to_here = (v - here.mean[c]) / a, to_others = (v - others.mean[c]) / b;
      likelihood += (to_others * to_others - to_here * to_here) / 2 + std::log(b / a);
    }
    likelihood =
        std::clamp(kLikelihood * likelihood / static_cast<double>(channels), -kMostLikelihood, kMostLikelihood);
    const double like = 1 / (1 + std::exp(click.positive ? -likelihood : likelihood));
    const double far = region.distance[i] / (kChange * r);
    const double trust = kTrust * std::exp(-far * far);
    made[i] = (1 - trust) * problem.target[i] + trust * like;
  }
  problem.target = std::move(made);
}

void fix(const Region& region, const Correction& click, double core, WalkerProblem& problem) {
  const double within = std::max(core * click.radius, kHalfDiagonal / region.scale());
  for (std::int64_t y = 0; y < problem.rows; ++y) {
    const double dy = region.y_of(y) - static_cast<double>(click.y);
    if (std::abs(dy) > within) continue;
    for (std::int64_t x = 0; x < problem.columns; ++x) {
      const double dx = region.x_of(x) - static_cast<double>(click.x);
      if (std::abs(dx) > within || std::hypot(dx, dy) > within) continue;
      const auto i = static_cast<std::size_t>(y * problem.columns + x);
      problem.fixed[i] = 1;
      problem.target[i] = click.positive ? 1 : 0;
    }
  }
}

}  // namespace

PixelRegion part_round(const PlaneMask& plane, const std::vector<PlanePixel>& pixels) {
  const auto reach = static_cast<std::int64_t>(std::ceil(kChange * kMostReach)) + 1;
  PixelRegion part{plane.columns, plane.rows, 0, 0};
  for (const PlanePixel& pixel : pixels) {
    part.x0 = std::min(part.x0, std::max<std::int64_t>(0, pixel.x - reach));
    part.y0 = std::min(part.y0, std::max<std::int64_t>(0, pixel.y - reach));
    part.x1 = std::max(part.x1, std::min(plane.columns, pixel.x + reach + 1));
    part.y1 = std::max(part.y1, std::min(plane.rows, pixel.y + reach + 1));
  }
  return part;
}

Probability probability_of(const PixelRegion& part, const std::vector<float>& logits) {
  Probability now{part, {}};
  now.values.reserve(logits.size());
  for (const float v : logits) now.values.push_back(1 / (1 + std::exp(-v / kSharpness)));
  return now;
}

void agree(const PlaneMask& mask, Probability& now) {
  for (std::int64_t y = now.part.y0; y < now.part.y1; ++y) {
    for (std::int64_t x = now.part.x0; x < now.part.x1; ++x) {
      float& v = now.at(x, y);
      if (mask.at(x, y) != 0 && !(v > 0.5f)) v = 0.5f + kBeside;
      if (mask.at(x, y) == 0 && v > 0.5f) v = 0.5f - kBeside;
    }
  }
}

void write(const Probability& now, PlaneMask& mask) {
  for (std::int64_t y = now.part.y0; y < now.part.y1; ++y) {
    for (std::int64_t x = now.part.x0; x < now.part.x1; ++x) mask.row(y)[x] = now.at(x, y) > 0.5f ? 1 : 0;
  }
}

double reach_of(const Probability& now, std::int64_t x, std::int64_t y) {
  const auto most = static_cast<std::int64_t>(kMostReach);
  const PixelRegion part{std::max(now.part.x0, x - most), std::max(now.part.y0, y - most),
                         std::min(now.part.x1, x + most + 1), std::min(now.part.y1, y + most + 1)};
  const bool kind = now.at(x, y) > 0.5f;
  double nearest = std::numeric_limits<double>::infinity();
  for (std::int64_t v = part.y0; v < part.y1; ++v) {
    for (std::int64_t u = part.x0; u < part.x1; ++u) {
      if ((now.at(u, v) > 0.5f) == kind) continue;
      const auto dx = static_cast<double>(u - x), dy = static_cast<double>(v - y);
      nearest = std::min(nearest, dx * dx + dy * dy);
    }
  }
  return std::clamp(std::sqrt(nearest), kLeastReach, kMostReach);
}

void correct(const Pixels& pixels, const Plane& plane, const std::vector<Correction>& clicks, Probability& now) {
  const Correction& click = clicks.back();
  const Region region = region_of(now, click);
  const std::vector<Taps> down = area_taps(region.down), across = area_taps(region.across);
  WalkerProblem problem;
  problem.rows = region.down.to;
  problem.columns = region.across.to;
  problem.channels = pixels.channels();
  problem.image = resampled(pixels.values(plane, region.part), region.part.columns(), problem.channels, down, across);
  const std::vector<float> before = resampled(part_of(now, region.part), region.part.columns(), 1, down, across);
  problem.target.assign(before.begin(), before.end());
  problem.fixed.assign(region.count(), 0);
  problem.pull.resize(region.count());
  draw_to_likeness(region, click, problem);
  const double change = kChange * click.radius;
  const double side =
      kPullSide / static_cast<double>(std::max<std::int64_t>(8, std::max(problem.rows, problem.columns)));
  for (std::size_t i = 0; i < region.count(); ++i) {
    problem.pull[i] = kPull * std::min(region.distance[i] / change, 1.0) * side * side;
    if (region.distance[i] <= change) continue;
    problem.fixed[i] = 1;
    problem.target[i] = before[i];
  }
  for (std::size_t k = 0; k + 1 < clicks.size(); ++k) fix(region, clicks[k], kEarlierCore, problem);
  fix(region, click, kCore, problem);
  const std::vector<double> walked = random_walk(problem);
  const std::vector<float> whole =
      resampled({walked.begin(), walked.end()}, problem.columns, 1, linear_taps({region.down.to, region.down.from}),
                linear_taps({region.across.to, region.across.from}));
  std::size_t i = 0;
  for (std::int64_t y = region.part.y0; y < region.part.y1; ++y) {
    for (std::int64_t x = region.part.x0; x < region.part.x1; ++x, ++i) {
      if (std::hypot(x - click.x, y - click.y) > change) continue;
      now.at(x, y) = std::clamp(whole[i], 0.0f, 1.0f);
    }
  }
  for (const Correction& c : clicks) now.at(c.x, c.y) = c.positive ? 1.0f : 0.0f;
}

}  // namespace medsam::session
