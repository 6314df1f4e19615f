// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "window/samples.hpp"

#include <cstdlib>
#include <string>

#include "image/views.hpp"
#include "medsam/error.hpp"

namespace medsam {

namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 42;  // of a row or a stride; with kMaxSide, no product overflows

}  // namespace

std::int64_t sample_bytes(SampleType type) {
  switch (type) {
    case SampleType::u8:
    case SampleType::i8:
      return 1;
    case SampleType::u16:
    case SampleType::i16:
      return 2;
    case SampleType::u32:
    case SampleType::i32:
    case SampleType::f32:
      return 4;
    case SampleType::u64:
    case SampleType::i64:
    case SampleType::f64:
      return 8;
  }
  throw InvalidArgument("window: got an unknown sample type, expected one of SampleType");
}

void check_samples(const SampleView& samples) {
  const std::int64_t bytes = sample_bytes(samples.type);
  const std::string got = "window: got values of " + size_text(samples.height, samples.width);
  if (samples.height < 0 || samples.width < 0 || samples.height > kMaxSide || samples.width > kMaxBytes / bytes) {
    throw InvalidArgument(got + ", expected 0 to " + std::to_string(kMaxSide) + " rows of at most " +
                          std::to_string(kMaxBytes) + " bytes; pass one slice at a time");
  }
  if (samples.height == 0 || samples.width == 0) return;
  if (samples.data == nullptr) throw InvalidArgument(got + " at a null pointer, expected their address");
  const std::int64_t stride = samples.row_stride;
  if (stride < -kMaxBytes || stride > kMaxBytes || (samples.height > 1 && std::abs(stride) < samples.width * bytes)) {
    throw InvalidArgument(got + " and a row_stride of " + std::to_string(stride) + ", expected at least the " +
                          std::to_string(samples.width * bytes) + " bytes of a row, and at most " +
                          std::to_string(kMaxBytes));
  }
  if (reinterpret_cast<std::uintptr_t>(samples.data) % static_cast<std::uintptr_t>(bytes) != 0 ||
      (samples.height > 1 && stride % bytes != 0)) {
    throw InvalidArgument(got + " whose data or row_stride is no multiple of the sample size " + std::to_string(bytes) +
                          ", expected aligned values; pass an aligned copy");
  }
}

SampleType sample_type(PixelType type) {
  switch (type) {
    case PixelType::u8:
      return SampleType::u8;
    case PixelType::u16:
      return SampleType::u16;
    case PixelType::i16:
      return SampleType::i16;
    case PixelType::f32:
      return SampleType::f32;
  }
  throw InvalidArgument("image: got an unknown pixel type, expected u8, u16, i16 or f32");
}

SampleView samples_of(const ImageView& image) {
  check_image(image);
  if (image.channels != 1) {
    throw InvalidArgument("window: got a color image, expected one channel; an image in color has no window");
  }
  return {image.data, sample_type(image.type), image.height, image.width, image.row_stride};
}

}  // namespace medsam
