// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The picture, the box that is dragged on it, and the mask.
#pragma once

#include <QImage>
#include <QRect>
#include <QWidget>

#include "session.hpp"

class Canvas : public QWidget {
  Q_OBJECT

 public:
  explicit Canvas(QWidget* parent = nullptr);

  /// A new slice; the box and the mask go.
  void set_image(const QImage& image);
  void set_mask(const Mask& mask);

  /// The middle of an image pixel, in this widget's coordinates: what a drag to that pixel would touch.
  [[nodiscard]] QPointF position_of(const QPoint& pixel) const;
  [[nodiscard]] QSize sizeHint() const override { return {800, 600}; }

 signals:
  void box_changed(const QRect& box);  ///< Image pixels, ends inclusive; while the mouse moves.

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;

 private:
  [[nodiscard]] QRectF target() const;
  [[nodiscard]] QPoint pixel_at(const QPointF& position) const;

  QImage image_, overlay_;
  QPoint anchor_;
  QRect box_;
};
