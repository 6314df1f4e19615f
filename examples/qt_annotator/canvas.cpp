// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "canvas.hpp"

#include <QMouseEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>

Canvas::Canvas(QWidget* parent) : QWidget(parent) {
  setCursor(Qt::CrossCursor);
  setAutoFillBackground(true);
  setPalette(QPalette(Qt::black));
}

void Canvas::set_image(const QImage& image) {
  image_ = image;
  overlay_ = {};
  box_ = {};
  update();
}

void Canvas::set_mask(const Mask& mask) {
  const int width = image_.width(), height = image_.height();
  const auto set = [&](int x, int y) {
    return x >= 0 && y >= 0 && x < width && y < height &&
           mask.pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)] !=
               0;
  };
  overlay_ = QImage(width, height, QImage::Format_ARGB32);
  for (int y = 0; y < height; ++y) {
    auto* row = reinterpret_cast<QRgb*>(overlay_.scanLine(y));
    for (int x = 0; x < width; ++x) {
      const bool inner = set(x - 1, y) && set(x + 1, y) && set(x, y - 1) && set(x, y + 1);
      row[x] = !set(x, y) ? 0 : inner ? qRgba(0, 200, 255, 80) : qRgba(0, 220, 255, 255);
    }
  }
  update();
}

// Where the picture is: as large as fits, in the middle.
QRectF Canvas::target() const {
  if (image_.isNull()) return {};
  const double scale = std::min(double(width()) / image_.width(), double(height()) / image_.height());
  const QSizeF size(image_.width() * scale, image_.height() * scale);
  return {QPointF((width() - size.width()) / 2, (height() - size.height()) / 2), size};
}

QPoint Canvas::pixel_at(const QPointF& position) const {
  const QRectF where = target();
  const double scale = where.width() / image_.width();
  const auto index = [&](double p, int size) { return std::clamp(int(std::floor(p / scale)), 0, size - 1); };
  return {index(position.x() - where.left(), image_.width()), index(position.y() - where.top(), image_.height())};
}

QPointF Canvas::position_of(const QPoint& pixel) const {
  const QRectF where = target();
  const double scale = where.width() / image_.width();
  return where.topLeft() + QPointF(pixel.x() + 0.5, pixel.y() + 0.5) * scale;
}

void Canvas::mousePressEvent(QMouseEvent* event) {
  if (image_.isNull() || event->button() != Qt::LeftButton) return;
  anchor_ = pixel_at(event->position());
  box_ = {};
  overlay_ = {};
  update();
}

void Canvas::mouseMoveEvent(QMouseEvent* event) {
  if (image_.isNull() || !(event->buttons() & Qt::LeftButton)) return;
  const QPoint here = pixel_at(event->position());
  const QRect box(QPoint(std::min(anchor_.x(), here.x()), std::min(anchor_.y(), here.y())),
                  QPoint(std::max(anchor_.x(), here.x()), std::max(anchor_.y(), here.y())));
  if (box == box_) return;
  box_ = box;
  update();
  emit box_changed(box_);
}

void Canvas::paintEvent(QPaintEvent* /*event*/) {
  if (image_.isNull()) return;
  QPainter painter(this);
  painter.setRenderHint(QPainter::SmoothPixmapTransform);
  const QRectF where = target();
  painter.drawImage(where, image_);
  painter.setRenderHint(QPainter::SmoothPixmapTransform, false);  // a mask has no half pixels
  if (!overlay_.isNull()) painter.drawImage(where, overlay_);
  if (box_.isEmpty()) return;
  const double scale = where.width() / image_.width();
  painter.setPen(QPen(QColor(255, 200, 0), 2));
  painter.drawRect(QRectF(where.topLeft() + QPointF(box_.topLeft()) * scale, QSizeF(box_.size()) * scale));
}
