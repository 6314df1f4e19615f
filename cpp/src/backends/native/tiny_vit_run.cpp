// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include <algorithm>
#include <new>

#include "backends/native/passes.hpp"

namespace medsam::backends::native {

namespace {

constexpr std::int64_t kPatchPixels = 256;

struct PatchBuffers {
  float* hidden;
  OperandRows operand;
};

PatchBuffers take(const Linear& layer, Carver& carver) {
  return {carver.take<float>(size(kPatchPixels * layer.in)), take_rows_for(layer, kPatchPixels, carver)};
}

void patch_embed(const TinyVitModel& model, const Machine& machine, const float* image, Workspace& workspace) {
  const std::int64_t pixels = model.input_size * model.input_size;
  const Linear& linear = model.patch_embed;
  for_pieces(machine, workspace, pixels / kPatchPixels, [&](std::int64_t piece, Carver& carver) {
    const PatchBuffers buffers = take(linear, carver);
    const std::int64_t first = piece * kPatchPixels;
    const float* planes[3] = {image + first, image + pixels + first, image + 2 * pixels + first};
    machine.kernels->expand_planes(planes, 3, kPatchPixels, model.planes_weight.data(), model.planes_bias.data(),
                                   linear.in, buffers.hidden);
    OperandRows operand = buffers.operand;
    if (operand.rounded != nullptr) {
      machine.kernels->round(buffers.hidden, operand.rounded, kPatchPixels * linear.in);
    } else {
      operand.exact = buffers.hidden;
    }
    auto params = product_of(linear, operand, kPatchPixels);
    params.out = workspace.current + first * linear.out;
    params.out_stride = linear.out;
    machine.kernels->product(params, *machine.product);
  });
}

std::size_t patch_scratch(const TinyVitModel& model) {
  Carver carver(nullptr);
  take(model.patch_embed, carver);
  return carver.used();
}

}  // namespace

void Workspace::Free::operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t(64)); }

Workspace::Bytes Workspace::allocate(std::size_t bytes) {
  return Bytes(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(64))));
}

Workspace::Workspace(const TinyVitModel& model, std::size_t threads) {
  std::int64_t width = model.input_size;
  std::int64_t features = std::max(neck_floats(model), width * width * model.patch_embed.out);
  std::size_t most = std::max(patch_scratch(model), neck_scratch(model));
  for (const Stage& stage : model.stages) {
    for (const Bottleneck& layer : stage.bottlenecks) most = std::max(most, bottleneck_scratch(layer, width));
    for (const Block& block : stage.blocks) {
      most = std::max({most, attention_pass_scratch(block), perceptron_scratch(block, width)});
      features = std::max(features, width * width * block.qkv.in);
    }
    for (const Bottleneck& layer : stage.merge) {
      most = std::max(most, bottleneck_scratch(layer, width));
      width /= layer.stride;
      features = std::max(features, width * width * layer.project.out);
    }
  }
  // A product reads up to 31 rows past the last.
  scratch_bytes_ = size(rounded_up(static_cast<std::int64_t>(most), 64));
  scratch_ = allocate(scratch_bytes_ * threads);
  features_ = allocate(size(2 * features) * sizeof(float));
  current = reinterpret_cast<float*>(features_.get());
  next = current + features;
}

void run_tiny_vit(const TinyVitModel& model, const Machine& machine, const float* image, Workspace& workspace,
                  float* embedding) {
  std::int64_t width = model.input_size;
  patch_embed(model, machine, image, workspace);
  for (const Stage& stage : model.stages) {
    for (const Bottleneck& layer : stage.bottlenecks) run_bottleneck(layer, machine, width, workspace);
    for (const Block& block : stage.blocks) {
      run_attention(block, machine, width, workspace);
      run_perceptron(block, machine, width, workspace);
    }
    for (const Bottleneck& layer : stage.merge) {
      run_bottleneck(layer, machine, width, workspace);
      width /= layer.stride;
    }
  }
  run_neck(model, machine, workspace, embedding);
}

}  // namespace medsam::backends::native
