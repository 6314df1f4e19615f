// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "picture.hpp"

#include <QImageReader>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "nifti.hpp"

medsam::ImageView Picture::slice(std::int64_t z) const {
  const std::int64_t row = width * channels;
  return {pixels.data() + z * height * row, medsam::PixelType::u8, height, width, channels, row};
}

QImage Picture::image(std::int64_t z) const {
  const medsam::ImageView view = slice(z);
  const auto format = channels == 3 ? QImage::Format_RGB888 : QImage::Format_Grayscale8;
  return {static_cast<const uchar*>(view.data), static_cast<int>(width), static_cast<int>(height),
          static_cast<qsizetype>(view.row_stride), format};
}

std::vector<std::uint8_t> stretched(const std::vector<float>& values) {
  std::vector<float> present;
  std::copy_if(values.begin(), values.end(), std::back_inserter(present), [](float v) { return v != 0; });
  std::vector<std::uint8_t> bytes(values.size());
  if (present.empty()) return bytes;
  const auto percentile = [&](double fraction) {
    const auto at = present.begin() + static_cast<std::ptrdiff_t>(fraction * static_cast<double>(present.size() - 1));
    std::nth_element(present.begin(), at, present.end());
    return *at;
  };
  const float low = percentile(0.005), high = percentile(0.995);
  if (!(high > low)) return bytes;
  std::transform(values.begin(), values.end(), bytes.begin(), [&](float v) {
    return static_cast<std::uint8_t>(std::lround((std::clamp(v, low, high) - low) / (high - low) * 255));
  });
  return bytes;
}

namespace {

Picture from_qt(const QString& path) {
  QImageReader reader(path);
  QImage image = reader.read();
  if (image.isNull()) throw std::runtime_error((path + ": " + reader.errorString()).toStdString());
  Picture picture{1, image.height(), image.width(), 1, {}};
  if (image.format() == QImage::Format_Grayscale16) {
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(picture.height * picture.width));
    for (int y = 0; y < image.height(); ++y) {
      const auto* row = reinterpret_cast<const quint16*>(image.constScanLine(y));
      values.insert(values.end(), row, row + image.width());
    }
    picture.pixels = stretched(values);
    return picture;
  }
  picture.channels = image.isGrayscale() ? 1 : 3;
  image.convertTo(picture.channels == 1 ? QImage::Format_Grayscale8 : QImage::Format_RGB888);
  const std::size_t row = static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.channels);
  picture.pixels.resize(row * static_cast<std::size_t>(picture.height));
  for (int y = 0; y < image.height(); ++y) {
    std::memcpy(picture.pixels.data() + static_cast<std::size_t>(y) * row, image.constScanLine(y), row);
  }
  return picture;
}

}  // namespace

Picture read_picture(const QString& path) {
  const bool nifti = path.endsWith(".nii") || path.endsWith(".nii.gz");
  return nifti ? read_nifti(path.toStdString()) : from_qt(path);
}
