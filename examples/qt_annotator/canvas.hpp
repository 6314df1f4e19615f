// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A plane, the masks on it, and what the mouse draws there. All coordinates that come and go are pixels of the plane.
#pragma once

#include <QImage>
#include <QPolygon>
#include <QRect>
#include <QWidget>

#include "plane_view.hpp"

/// What a drag with the left button draws. With Shift, or the right button, it is a line beside the object.
enum class Tool { box, scribble, lasso };

class Canvas : public QWidget {
  Q_OBJECT

 public:
  explicit Canvas(QWidget* parent = nullptr);

  /// Another plane; what was drawn goes. The part of the plane that is shown stays where only the number changed.
  void set_plane(const QImage& image, const PlaneView& view);
  void set_overlay(const PlaneOverlay& overlay);
  /// The area that the box in hand would find, until there is another overlay; ignored where no box is dragged.
  void set_preview(const QImage& areas);
  void set_tool(Tool tool) { tool_ = tool; }
  /// Forgets what the mouse drew last.
  void clear_gesture();
  /// Gives up the drag that is under way. Returns whether there was one.
  bool cancel_drag();
  /// Shows the whole plane again.
  void reset_zoom();

  /// The middle of a pixel, in this widget's coordinates: what a click on that pixel would touch.
  [[nodiscard]] QPointF position_of(const QPoint& pixel) const;
  [[nodiscard]] QSize sizeHint() const override { return {800, 600}; }

 signals:
  void boxed(const QRect& box, bool finished);  ///< Ends inclusive; while the mouse moves, and when it is released.
  void clicked(const QPoint& pixel, bool positive);
  void scribbled(const QPolygon& line, bool positive);
  void outlined(const QPolygon& outline);
  void box_cancelled();
  void scrolled(int planes);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;

 private:
  [[nodiscard]] QTransform to_widget() const;
  [[nodiscard]] QPoint pixel_at(const QPointF& position) const;
  [[nodiscard]] QRect dragged_box() const;
  void zoom_by(double factor, const QPointF& position);
  void paint_gesture(QPainter& painter, const QTransform& transform) const;
  void paint_sides(QPainter& painter) const;

  QImage image_;
  PlaneOverlay overlay_;
  QImage preview_;
  PlaneView view_;
  double zoom_ = 1;
  QPointF pan_;    // of the plane's middle from the widget's
  int wheel_ = 0;  // eighths of degrees that were not a whole step yet

  Tool tool_ = Tool::box;
  Tool drawn_ = Tool::box;  // what path_ is
  bool positive_ = true;    // likewise
  bool moved_ = false;      // a click has not moved
  Qt::MouseButton held_ = Qt::NoButton;
  QPointF pressed_at_;
  QPolygon path_;  // pixels that the mouse went over
};
