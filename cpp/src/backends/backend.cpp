// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backend.hpp"

#include <limits>

#include "medsam/error.hpp"

namespace medsam::backends {

Tensor::~Tensor() = default;
Request::~Request() = default;
CompiledModel::~CompiledModel() = default;
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
