// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/backend.hpp"

#include <limits>

#include "base/finite.hpp"
#include "medsam/error.hpp"

namespace medsam::backends {

Tensor::~Tensor() = default;
bool Tensor::finite() const { return all_finite(host(), element_count(shape_)); }

kernels::MaskStats Tensor::write_mask(const Map&, const kernels::UpsampleThresholdParams&) const {
  throw BackendError("tensor: it lies in host memory, where the CPU's kernels make its masks");
}

Request::~Request() = default;
bool Request::input_image(std::size_t, const kernels::Pixels&, const kernels::ResizeNormalizeParams&) { return false; }
std::vector<TensorPtr> Request::run_part(const MapPart&) { return run(); }

CompiledModel::~CompiledModel() = default;
// A prompt's activations take about 25 MB (LiteMedSAM), and a CPU runtime keeps the memory and the prepared primitives
// of every shape it has seen: 1.3 GB after batches of 1 to 16, 0.3 GB with these. From 4 on a larger batch gains little
// (measured: 197 ms a box at 4, 189 at 8, 175 at 13; 268 at 1, on a busy machine).
std::size_t CompiledModel::largest_batch() const { return 4; }

Backend::~Backend() = default;

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t d : shape) {
    if (d < 0 || (d > 0 && count > std::numeric_limits<std::int64_t>::max() / 8 / d)) {
      throw InvalidArgument("tensor: got a shape of impossible size; use fewer prompts or a smaller image");
    }
    count *= d;
  }
  return count;
}

HostTensor::HostTensor(Shape shape) : Tensor(std::move(shape)) {
  data_.reset(new float[static_cast<std::size_t>(element_count(this->shape()))]);
}

}  // namespace medsam::backends
