// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "plane_view.hpp"

#include <cstddef>

namespace {

constexpr int kAreaAlpha = 70;  // of 255: what is below a mask stays visible

// Where the pixels of a plane are in an array (D, H, W).
struct Layout {
  std::int64_t columns = 0, rows = 0;
  std::int64_t first = 0, column_step = 0, row_step = 0;

  [[nodiscard]] std::size_t at(std::int64_t column, std::int64_t row) const {
    return static_cast<std::size_t>(first + column * column_step + row * row_step);
  }
};

// An axis of the array (0 = z) as a number of Picture::spacing and Picture::toward (0 = x).
std::size_t from_x(int axis) { return static_cast<std::size_t>(2 - axis); }

Layout layout_of(const Picture& picture, const medsam::Plane& plane) {
  const std::int64_t steps[] = {picture.height * picture.width, picture.width, 1};
  const auto [columns, rows] = in_plane(plane.axis);
  return {plane_count(picture, columns), plane_count(picture, rows), plane.index * steps[plane.axis], steps[columns],
          steps[rows]};
}

// 0 for left and right, 1 for front and back, 2 for head and feet.
int kind_of(char direction) {
  return direction == 'L' || direction == 'R' ? 0 : direction == 'A' || direction == 'P' ? 1 : 2;
}

QString opposite(char direction) {
  const QString names = "LRAPIS";
  return names.mid(static_cast<int>(names.indexOf(QChar(direction))) ^ 1, 1);
}

}  // namespace

std::pair<int, int> in_plane(int axis) { return axis == 0 ? std::pair(2, 1) : std::pair(axis == 1 ? 2 : 1, 0); }

std::int64_t plane_count(const Picture& picture, int axis) {
  return axis == 0 ? picture.depth : axis == 1 ? picture.height : picture.width;
}

QString axis_name(const Picture& picture, int axis) {
  const char direction = picture.toward[from_x(axis)];
  if (direction == 0) return axis == 0 ? "along z" : axis == 1 ? "along y" : "along x";
  constexpr const char* kNames[] = {"sagittal", "coronal", "axial"};
  return kNames[kind_of(direction)];
}

PlaneView plane_view(const Picture& picture, int axis) {
  const auto [columns, rows] = in_plane(axis);
  char right = picture.toward[from_x(columns)], down = picture.toward[from_x(rows)];
  QSizeF size(static_cast<double>(plane_count(picture, columns)) * picture.spacing[from_x(columns)],
              static_cast<double>(plane_count(picture, rows)) * picture.spacing[from_x(rows)]);
  QTransform to_screen = QTransform::fromScale(picture.spacing[from_x(columns)], picture.spacing[from_x(rows)]);
  if (right == 0) return {to_screen, size, {}};
  if (kind_of(right) > kind_of(down)) {  // head and feet are up and down, left and right across
    to_screen *= QTransform(0, 1, 1, 0, 0, 0);
    size.transpose();
    std::swap(right, down);
  }
  if (right == 'R' || right == 'A') {
    to_screen *= QTransform(-1, 0, 0, 1, size.width(), 0);
    right = opposite(right)[0].toLatin1();
  }
  if (down == 'A' || down == 'S') {
    to_screen *= QTransform(1, 0, 0, -1, 0, size.height());
    down = opposite(down)[0].toLatin1();
  }
  return {to_screen, size, {opposite(right), opposite(down), QString(QChar(right)), QString(QChar(down))}};
}

QImage plane_image(const Picture& picture, const medsam::Plane& plane) {
  const Layout layout = layout_of(picture, plane);
  const bool color = picture.channels == 3;
  QImage image(static_cast<int>(layout.columns), static_cast<int>(layout.rows),
               color ? QImage::Format_RGB888 : QImage::Format_Grayscale8);
  const auto channels = static_cast<std::size_t>(picture.channels);
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    uchar* out = image.scanLine(static_cast<int>(row));
    for (std::int64_t column = 0; column < layout.columns; ++column) {
      const std::uint8_t* pixel = picture.pixels.data() + layout.at(column, row) * channels;
      for (std::size_t channel = 0; channel < channels; ++channel) *out++ = pixel[channel];
    }
  }
  return image;
}

QImage mask_area(const QImage& mask, const QColor& color) {
  QImage area(mask.size(), QImage::Format_ARGB32);
  for (int row = 0; row < mask.height(); ++row) {
    const uchar* in = mask.constScanLine(row);
    auto* out = reinterpret_cast<QRgb*>(area.scanLine(row));
    for (int column = 0; column < mask.width(); ++column) {
      out[column] = in[column] == 0 ? 0 : qRgba(color.red(), color.green(), color.blue(), kAreaAlpha);
    }
  }
  return area;
}

PlaneOverlay plane_overlay(const Picture& picture, const std::vector<std::uint8_t>& labels, const medsam::Plane& plane,
                           const std::vector<QColor>& colors) {
  const Layout layout = layout_of(picture, plane);
  const auto label_at = [&](std::int64_t column, std::int64_t row) -> int {
    const bool inside = column >= 0 && row >= 0 && column < layout.columns && row < layout.rows;
    return inside ? labels[layout.at(column, row)] : 0;
  };
  PlaneOverlay overlay;
  for (const QColor& color : colors) overlay.edges.emplace_back(color, QVector<QLineF>());
  overlay.areas = QImage(static_cast<int>(layout.columns), static_cast<int>(layout.rows), QImage::Format_ARGB32);
  overlay.areas.fill(Qt::transparent);
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    auto* out = reinterpret_cast<QRgb*>(overlay.areas.scanLine(static_cast<int>(row)));
    for (std::int64_t column = 0; column < layout.columns; ++column) {
      const int label = label_at(column, row);
      if (label == 0) continue;
      auto& [color, edges] = overlay.edges.at(static_cast<std::size_t>(label - 1));
      out[column] = qRgba(color.red(), color.green(), color.blue(), kAreaAlpha);
      const QPointF corner{static_cast<double>(column), static_cast<double>(row)}, right{1, 0}, down{0, 1};
      if (label_at(column, row - 1) != label) edges << QLineF(corner, corner + right);
      if (label_at(column, row + 1) != label) edges << QLineF(corner + down, corner + down + right);
      if (label_at(column - 1, row) != label) edges << QLineF(corner, corner + down);
      if (label_at(column + 1, row) != label) edges << QLineF(corner + right, corner + right + down);
    }
  }
  return overlay;
}
