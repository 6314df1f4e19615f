// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/blank_plan.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace medsam::backends::native {

namespace {

// A ninth of the network's image at most, so that the first image that needs it hardly takes longer; and what is kept
// is small beside the features of one image, whatever a file's sizes are. LiteMedSAM keeps 1.3 MB.
constexpr std::int64_t kSmaller = 3;
constexpr std::uint64_t kMostBytes = std::uint64_t{8} << 20;

/// Kinds of rows: two are of one kind where they are as far from what they read, and read rows of the same kinds.
/// Numbered in the order in which they are met, for images of all sizes together.
using Kinds = std::vector<std::int32_t>;
using Numbers = std::map<Kinds, std::int32_t>;

/// The rows that a pass writes, from those that it reads.
Kinds written(const Kinds& read, const Locality& locality, Numbers& numbers) {
  const auto side = static_cast<std::int64_t>(read.size());
  Kinds kinds;
  for (std::int64_t y = 0; y < side / locality.stride; ++y) {
    const Span span = locality.read(Span{y, y + 1}, side);
    Kinds key = {static_cast<std::int32_t>(y * locality.stride - span.begin)};
    key.insert(key.end(), read.data() + span.begin, read.data() + span.end);
    kinds.push_back(numbers.emplace(std::move(key), static_cast<std::int32_t>(numbers.size())).first->second);
  }
  return kinds;
}

/// Places of the first row of each kind.
std::map<std::int32_t, std::int64_t> first_rows(const Kinds& kinds) {
  std::map<std::int32_t, std::int64_t> rows;
  for (std::size_t y = 0; y < kinds.size(); ++y) rows.emplace(kinds[y], static_cast<std::int64_t>(y));
  return rows;
}

/// The network's own image after each of its first passes, those with a locality. The last pass writes the output.
struct Whole {
  std::vector<Locality> localities;
  std::vector<Kinds> kinds;
  std::vector<Numbers> numbers;

  explicit Whole(const Network& network) {
    Kinds rows(static_cast<std::size_t>(network.input_shape.back()), 0);
    for (std::size_t i = 0; i + 1 < network.passes.size(); ++i) {
      const Locality locality = network.passes[i]->locality();
      if (locality.everything()) break;
      localities.push_back(locality);
      numbers.emplace_back();
      rows = written(rows, locality, numbers.back());
      kinds.push_back(rows);
    }
  }
};

/// The plan of an image of `side`: the passes after which it has the very kinds that the whole image has.
BlankPlan plan_of(std::int64_t side, Whole& whole) {
  BlankPlan plan{side, {}};
  std::uint64_t bytes = 0;
  Kinds rows(static_cast<std::size_t>(side), 0);
  for (std::size_t i = 0; i < whole.localities.size(); ++i) {
    if (static_cast<std::int64_t>(rows.size()) % whole.localities[i].stride != 0) break;
    rows = written(rows, whole.localities[i], whole.numbers[i]);
    const auto own = first_rows(rows), all = first_rows(whole.kinds[i]);
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    BlankPlan::Pass pass{static_cast<std::int64_t>(rows.size()), whole.localities[i].channels, {}, {}};
    bytes += own.size() * own.size() * static_cast<std::uint64_t>(pass.channels) * sizeof(float);
    if (!std::equal(own.begin(), own.end(), all.begin(), all.end(), same) || bytes > kMostBytes) break;
    std::map<std::int32_t, std::int32_t> place;
    for (const auto& [kind, row] : own) {
      place.emplace(kind, static_cast<std::int32_t>(pass.rows.size()));
      pass.rows.push_back(row);
    }
    for (const std::int32_t kind : whole.kinds[i]) pass.kind_of.push_back(place.at(kind));
    plan.passes.push_back(std::move(pass));
  }
  return plan;
}

}  // namespace

BlankPlan plan_blank(const Network& network) {
  Whole whole(network);
  BlankPlan best;
  for (std::int64_t side = 1; side <= network.input_shape.back() / kSmaller; ++side) {
    BlankPlan plan = plan_of(side, whole);
    if (plan.passes.size() > best.passes.size()) best = std::move(plan);
  }
  return best;
}

}  // namespace medsam::backends::native
