// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/native/padding.hpp"

#include <bit>
#include <cstring>

#include "backends/native/blank_plan.hpp"

namespace medsam::backends::native {

namespace {

/// Whether one of `count` numbers has a bit set: -0 is none of the padding's.
bool any_bits(const float* values, std::int64_t count) {
  std::uint32_t bits = 0;
  for (std::int64_t i = 0; i < count; ++i) bits |= std::bit_cast<std::uint32_t>(values[i]);
  return bits != 0;
}

/// One of each kind of rows and columns of a grid of `side`, where each has as many kinds.
BlankFeatures kept(const BlankPlan::Pass& plan, const float* features, std::int64_t side) {
  BlankFeatures kept;
  kept.channels = plan.channels;
  kept.kinds = static_cast<std::int64_t>(plan.rows.size());
  kept.kind_of = plan.kind_of;
  kept.tokens.resize(static_cast<std::size_t>(kept.kinds * kept.kinds * kept.channels));
  float* to = kept.tokens.data();
  for (const std::int64_t y : plan.rows) {
    for (const std::int64_t x : plan.rows) {
      std::memcpy(to, features + (y * side + x) * kept.channels, static_cast<std::size_t>(kept.channels) * sizeof *to);
      to += kept.channels;
    }
  }
  return kept;
}

/// Writes the blank image's features where `wanted` is and `present` is not.
void fill(const Frame& frame, const BlankFeatures& blank, const Region& wanted, const Region& present) {
  if (present.contains(wanted)) return;
  const auto side = static_cast<std::int64_t>(blank.kind_of.size());
  frame.for_pieces(wanted.rows.length(), [&](std::int64_t piece, Carver&) {
    const std::int64_t y = wanted.rows.begin + piece;
    const bool beside = !present.empty() && present.rows.contains({y, y + 1});
    for (std::int64_t x = wanted.columns.begin; x < wanted.columns.end; ++x) {
      if (beside && present.columns.contains({x, x + 1})) {
        x = present.columns.end - 1;
        continue;
      }
      std::memcpy(frame.features() + (y * side + x) * blank.channels, blank.token(y, x),
                  static_cast<std::size_t>(blank.channels) * sizeof(float));
    }
  });
}

}  // namespace

Region content_of(const float* planes, std::int64_t side) {
  const auto any = [&](std::int64_t y, std::int64_t begin, std::int64_t end) {
    const float* row = planes + y * side;
    for (std::int64_t p = 0; p < 3; ++p, row += side * side) {
      if (any_bits(row + begin, end - begin)) return true;
    }
    return false;
  };
  Span rows{0, side}, columns{side, 0};
  while (rows.begin < side && !any(rows.begin, 0, side)) ++rows.begin;
  while (rows.end > rows.begin && !any(rows.end - 1, 0, side)) --rows.end;
  for (std::int64_t y = rows.begin; y < rows.end; ++y) {
    while (columns.begin > 0 && any(y, 0, columns.begin)) --columns.begin;
    while (columns.end < side && any(y, columns.end, side)) ++columns.end;
  }
  return {rows, columns};
}

const std::vector<BlankFeatures>& Blank::passes(Workspace& workspace) const {
  const std::lock_guard lock(mutex_);
  if (made_) return passes_;
  const BlankPlan plan = plan_blank(network_);
  std::vector<BlankFeatures> passes;
  const std::vector<float> zeros(static_cast<std::size_t>(3 * plan.side * plan.side));
  Frame frame(machine_, workspace, {zeros.data(), plan.side, nullptr}, network_.input_shape.back());
  for (std::size_t i = 0; i < plan.passes.size(); ++i) {
    network_.passes[i]->run(frame);
    passes.push_back(kept(plan.passes[i], frame.features(), plan.passes[i].side));
  }
  passes_ = std::move(passes);
  made_ = true;
  return passes_;
}

void run(const Network& network, const Machine& machine, const Blank& blank, const float* input, Workspace& workspace,
         float* output) {
  std::int64_t side = network.input_shape.back();
  Region differs = content_of(input, side);
  if (differs.contains(Region::whole().within(side))) return run(network, machine, input, workspace, output);
  const std::vector<BlankFeatures>& known = blank.passes(workspace);
  Frame frame(machine, workspace, {input, side, output}, side);
  for (std::size_t i = 0; i < network.passes.size(); ++i) {
    Region written = Region::whole(), read = written.within(side);
    if (i < known.size()) {
      const Locality locality = network.passes[i]->locality();
      written = locality.written(differs, side);
      read = written.empty() ? written : locality.read(written, side);
      side /= locality.stride;
    }
    // The input's zeros are there.
    if (i > 0 && i <= known.size()) fill(frame, known[i - 1], read, differs);
    frame.set_region(written);
    network.passes[i]->run(frame);
    differs = written;
  }
}

}  // namespace medsam::backends::native
