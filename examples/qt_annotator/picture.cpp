// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "picture.hpp"

#include <medsam/window.hpp>

#include <QImageReader>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "nifti.hpp"

medsam::VolumeView Picture::view() const {
  const std::int64_t row = width * channels;
  return {pixels.data(), medsam::PixelType::u8, depth, height, width, channels, row, height * row};
}

std::vector<std::uint8_t> windowed(const std::vector<float>& values, const Picture& shape, const Contrast& contrast) {
  medsam::WindowOptions options;
  options.window = contrast.window.empty() && contrast.modality.empty() ? "percentile" : contrast.window;
  options.modality = contrast.modality;
  const std::int64_t row = shape.width * static_cast<std::int64_t>(sizeof(float));
  const medsam::VolumeView view{values.data(), medsam::PixelType::f32, shape.depth, shape.height, shape.width, 1,
                                row,           shape.height * row};
  const medsam::IntensityWindow window = medsam::resolve_window(view, options);
  if (window.rule == medsam::IntensityWindow::Rule::unchanged) {
    throw std::runtime_error("window: got \"" + options.window + "\", expected one that gives 0 to 255 to show");
  }
  std::vector<std::uint8_t> bytes(values.size());
  for (std::int64_t z = 0; z < shape.depth; ++z) {
    medsam::apply_window(window, view, z, std::nullopt, bytes.data() + z * shape.height * shape.width, shape.width);
  }
  return bytes;
}

namespace {

Picture from_qt(const QString& path, const Contrast& contrast) {
  QImageReader reader(path);
  reader.setAutoTransform(true);
  QImage image = reader.read();
  if (image.isNull()) throw std::runtime_error((path + ": " + reader.errorString()).toStdString());
  Picture picture;
  picture.depth = 1;
  picture.height = image.height();
  picture.width = image.width();
  if (image.format() == QImage::Format_Grayscale16) {
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(picture.voxels()));
    for (int y = 0; y < image.height(); ++y) {
      const auto* row = reinterpret_cast<const quint16*>(image.constScanLine(y));
      values.insert(values.end(), row, row + image.width());
    }
    picture.pixels = windowed(values, picture, contrast);
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

bool is_nifti(const QString& path) { return path.endsWith(".nii") || path.endsWith(".nii.gz"); }

Picture read_picture(const QString& path, const Contrast& contrast) {
  return is_nifti(path) ? read_nifti(path.toStdString(), contrast) : from_qt(path, contrast);
}
