// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "prompt/prompt_tokens.hpp"

#include <algorithm>
#include <string>

#include "medsam/error.hpp"
#include "prompt/box_sampling.hpp"

namespace medsam {

namespace {

constexpr std::int32_t kNoPoint = -1, kPositive = 1, kBoxTopLeft = 2, kBoxBottomRight = 3;

void add(PromptTokens& tokens, float x, float y, std::int32_t label) {
  tokens.coords.push_back(x);
  tokens.coords.push_back(y);
  tokens.labels.push_back(label);
}

void add_box(PromptTokens& tokens, const float corners[4]) {
  add(tokens, corners[0], corners[1], kBoxTopLeft);
  add(tokens, corners[2], corners[3], kBoxBottomRight);
}

// The strokes in the frame of mask_input: 1 in every cell that holds the center of a drawn pixel.
std::vector<float> scribble_cells(const ScribbleView& scribble, const PromptContext& context, std::int64_t index) {
  const ImageGeometry& g = context.geometry;
  const std::string name = "scribble of prompt " + std::to_string(index);
  if (scribble.data == nullptr || scribble.height != g.height || scribble.width != g.width ||
      scribble.row_stride < scribble.width) {
    throw InvalidArgument(name + ": got " + std::to_string(scribble.width) + " x " + std::to_string(scribble.height) +
                          " (width x height), expected the image's size " + std::to_string(g.width) + " x " +
                          std::to_string(g.height) + " and rows at least as long");
  }
  std::vector<float> cells(static_cast<std::size_t>(context.mask_height * context.mask_width), 0.0f);
  bool any = false;
  for (std::int64_t y = 0; y < g.height; ++y) {
    const std::uint8_t* row = scribble.data + y * scribble.row_stride;
    for (std::int64_t x = 0; x < g.width; ++x) {
      if (row[x] == 0) continue;
      float at[2];
      map_point(g, static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5, at);
      const auto cell = [&](float v, std::int64_t side) {
        const auto scaled =
            static_cast<std::int64_t>(static_cast<double>(v) * static_cast<double>(side) / g.prompt_frame);
        return std::clamp<std::int64_t>(scaled, 0, side - 1);
      };
      cells[static_cast<std::size_t>(cell(at[1], context.mask_height) * context.mask_width +
                                     cell(at[0], context.mask_width))] = 1.0f;
      any = true;
    }
  }
  if (!any) throw InvalidArgument(name + ": got no drawn pixel, expected at least one that is not 0");
  return cells;
}

// Adds what the published script draws in a box.
void sample(PromptTokens& tokens, const float corners[4], const PromptContext& context) {
  const std::int64_t side = context.geometry.input_size;
  tokens.drawn.resize(static_cast<std::size_t>(side * side));
  const auto points = sample_box(corners, context.foreground, side, tokens.drawn.data());
  for (std::size_t i = 0; i < points.size(); i += 2) add(tokens, points[i], points[i + 1], kPositive);
}

}  // namespace

PromptTokens prompt_tokens(const Prompt& prompt, const PromptContext& context, std::int64_t index) {
  const ImageGeometry& geometry = context.geometry;
  const std::string name = "prompt " + std::to_string(index);
  const PromptKinds kinds = kinds_of(prompt, context.encoding);
  check_accepted(kinds, context.encoding, name);
  if (prompt.scribble && prompt.mask_input != nullptr) {
    throw InvalidArgument(name + ": got a scribble and a mask_input, expected one of them");
  }
  if (prompt.points.size() > kMostPromptPoints) {
    throw InvalidArgument(name + ": got " + std::to_string(prompt.points.size()) + " points, expected at most " +
                          std::to_string(kMostPromptPoints) + "; leave some out, or draw a mask or a box");
  }
  for (std::size_t i = 0; i < prompt.points.size(); ++i) {
    check_point(prompt.points[i], geometry.height, geometry.width, index, static_cast<std::int64_t>(i));
  }
  if (kinds == PromptKinds::box) {
    const Box box = checked_box(*prompt.box, geometry.height, geometry.width, index);
    float corners[4];
    map_box(geometry, box, context.rules.box_rounding, corners);
    return box_tokens(corners, pixel_box(box), context);
  }
  PromptTokens tokens;
  for (const Point& point : prompt.points) {
    if (point.label == kNoPoint) continue;
    float xy[2];
    map_point(geometry, point.x, point.y, xy);
    add(tokens, xy[0], xy[1], point.label);
  }
  if (prompt.box) {
    const Box box = checked_box(*prompt.box, geometry.height, geometry.width, index);
    float corners[4];
    map_box(geometry, box, context.rules.box_rounding, corners);
    add_box(tokens, corners);
    tokens.crop_box = pixel_box(box);
  } else {
    add(tokens, 0, 0, kNoPoint);
  }
  tokens.mask_input = prompt.mask_input;
  if (prompt.scribble) tokens.drawn = scribble_cells(*prompt.scribble, context, index);
  return tokens;
}

PromptTokens box_tokens(const float corners[4], const PixelBox& crop_box, const PromptContext& context) {
  PromptTokens tokens;
  if (context.encoding.from_box == FromBox::points_and_scribble) sample(tokens, corners, context);
  add_box(tokens, corners);
  tokens.crop_box = crop_box;
  return tokens;
}

}  // namespace medsam
