// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "canvas.hpp"

#include <QMouseEvent>
#include <QPainter>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>

namespace {

constexpr double kClickRadius = 3;  // how far a click may move, in the widget's pixels
constexpr int kWheelStep = 120;     // eighths of degrees, as QWheelEvent counts them
constexpr double kMostZoom = 32;
const QColor kPositive(60, 230, 60), kNegative(255, 60, 60), kFrame(255, 200, 0);

}  // namespace

Canvas::Canvas(QWidget* parent) : QWidget(parent) {
  setCursor(Qt::CrossCursor);
  setAutoFillBackground(true);
  setPalette(QPalette(Qt::black));
}

void Canvas::set_plane(const QImage& image, const PlaneView& view) {
  if (view.size != view_.size || view.to_screen != view_.to_screen) reset_zoom();
  image_ = image;
  view_ = view;
  overlay_ = {};
  held_ = Qt::NoButton;
  clear_gesture();
}

void Canvas::set_overlay(const PlaneOverlay& overlay) {
  overlay_ = overlay;
  preview_ = {};
  update();
}

void Canvas::set_preview(const QImage& areas) {
  if (held_ == Qt::NoButton || drawn_ != Tool::box) return;
  preview_ = areas;
  update();
}

void Canvas::clear_gesture() {
  path_.clear();
  preview_ = {};
  update();
}

bool Canvas::cancel_drag() {
  if (held_ == Qt::NoButton) return false;
  const bool box = moved_ && drawn_ == Tool::box;
  held_ = Qt::NoButton;
  clear_gesture();
  if (box) emit box_cancelled();
  return true;
}

void Canvas::reset_zoom() {
  zoom_ = 1;
  pan_ = {};
  update();
}

// The plane as large as fits, in the middle, then zoomed and moved.
QTransform Canvas::to_widget() const {
  const double scale = zoom_ * std::min(width() / view_.size.width(), height() / view_.size.height());
  const QPointF middle = QPointF(width(), height()) / 2 + pan_;
  const QPointF corner = middle - QPointF(view_.size.width(), view_.size.height()) * scale / 2;
  return view_.to_screen * QTransform::fromScale(scale, scale) * QTransform::fromTranslate(corner.x(), corner.y());
}

QPoint Canvas::pixel_at(const QPointF& position) const {
  const QPointF at = to_widget().inverted().map(position);
  return {std::clamp(static_cast<int>(std::floor(at.x())), 0, image_.width() - 1),
          std::clamp(static_cast<int>(std::floor(at.y())), 0, image_.height() - 1)};
}

QPointF Canvas::position_of(const QPoint& pixel) const { return to_widget().map(QPointF(pixel) + QPointF(0.5, 0.5)); }

QRect Canvas::dragged_box() const {
  const QPoint a = path_.first(), b = path_.last();
  return {QPoint(std::min(a.x(), b.x()), std::min(a.y(), b.y())),
          QPoint(std::max(a.x(), b.x()), std::max(a.y(), b.y()))};
}

void Canvas::mousePressEvent(QMouseEvent* event) {
  if (image_.isNull() || held_ != Qt::NoButton) return;
  held_ = event->button();
  pressed_at_ = event->position();
  if (held_ == Qt::MiddleButton) return;
  positive_ = held_ == Qt::LeftButton && !(event->modifiers() & Qt::ShiftModifier);
  drawn_ = positive_ ? tool_ : Tool::scribble;
  moved_ = false;
  path_ = {pixel_at(event->position())};
  update();
}

void Canvas::mouseMoveEvent(QMouseEvent* event) {
  if (held_ == Qt::NoButton) return;
  if (held_ == Qt::MiddleButton) {
    pan_ += event->position() - pressed_at_;
    pressed_at_ = event->position();
    update();
    return;
  }
  const QPointF way = event->position() - pressed_at_;
  moved_ = moved_ || std::hypot(way.x(), way.y()) > kClickRadius;
  const QPoint here = pixel_at(event->position());
  if (!moved_ || here == path_.last()) return;
  if (drawn_ == Tool::box) {
    path_ = {path_.first(), here};
    emit boxed(dragged_box(), false);
  } else {
    path_ << here;
  }
  update();
}

void Canvas::mouseReleaseEvent(QMouseEvent* event) {
  if (held_ == Qt::NoButton || event->button() != held_) return;
  const bool middle = held_ == Qt::MiddleButton;
  held_ = Qt::NoButton;
  if (middle) return;
  if (!moved_) {
    path_ = {path_.first()};
    emit clicked(path_.first(), positive_);
  } else if (drawn_ == Tool::box) {
    emit boxed(dragged_box(), true);
  } else if (drawn_ == Tool::scribble) {
    emit scribbled(path_, positive_);
  } else {
    emit outlined(path_);
  }
  update();
}

void Canvas::wheelEvent(QWheelEvent* event) {
  if (image_.isNull() || held_ != Qt::NoButton) return;
  const int turned = event->angleDelta().y();
  if (event->modifiers() & Qt::ControlModifier) return zoom_by(std::pow(2, turned / 480.0), event->position());
  wheel_ += turned;
  const int planes = wheel_ / kWheelStep;
  wheel_ -= planes * kWheelStep;
  if (planes != 0) emit scrolled(planes);
}

// What is under the mouse stays there.
void Canvas::zoom_by(double factor, const QPointF& position) {
  const double zoom = std::clamp(zoom_ * factor, 1.0, kMostZoom);
  const QPointF from_middle = position - QPointF(width(), height()) / 2 - pan_;
  pan_ -= from_middle * (zoom / zoom_ - 1);
  zoom_ = zoom;
  if (zoom_ == 1) pan_ = {};
  update();
}

void Canvas::paintEvent(QPaintEvent* /*event*/) {
  if (image_.isNull()) return;
  QPainter painter(this);
  const QTransform transform = to_widget();
  painter.setTransform(transform);
  painter.setRenderHint(QPainter::SmoothPixmapTransform);
  painter.drawImage(QPointF(0, 0), image_);
  painter.setRenderHint(QPainter::SmoothPixmapTransform, false);  // a mask has no half pixels
  painter.drawImage(QPointF(0, 0), overlay_.areas);
  if (!preview_.isNull()) painter.drawImage(QPointF(0, 0), preview_);
  for (const auto& [color, edges] : overlay_.edges) {
    QPen pen(color, 2);
    pen.setCosmetic(true);  // as wide on the screen whatever a pixel's sides are
    painter.setPen(pen);
    painter.drawLines(edges);
  }
  painter.resetTransform();
  paint_gesture(painter, transform);
  paint_sides(painter);
}

void Canvas::paint_gesture(QPainter& painter, const QTransform& transform) const {
  if (path_.isEmpty()) return;
  const QColor color = drawn_ == Tool::box && moved_ ? kFrame : positive_ ? kPositive : kNegative;
  painter.setPen(QPen(color, 2));
  if (!moved_) {
    painter.setBrush(color);
    painter.drawEllipse(position_of(path_.first()), 4, 4);
  } else if (drawn_ == Tool::box) {
    painter.drawRect(transform.mapRect(QRectF(dragged_box())));
  } else {
    const QPolygonF line = transform.map(QPolygonF(path_).translated(0.5, 0.5));
    drawn_ == Tool::lasso ? painter.drawPolygon(line) : painter.drawPolyline(line);
  }
}

void Canvas::paint_sides(QPainter& painter) const {
  constexpr Qt::Alignment kWhere[] = {Qt::AlignLeft | Qt::AlignVCenter, Qt::AlignTop | Qt::AlignHCenter,
                                      Qt::AlignRight | Qt::AlignVCenter, Qt::AlignBottom | Qt::AlignHCenter};
  const QRect inside = rect().adjusted(6, 4, -6, -4);
  for (std::size_t i = 0; i < view_.sides.size(); ++i) {
    painter.setPen(Qt::black);  // a shadow, for bright pixels
    painter.drawText(inside.translated(1, 1), static_cast<int>(kWhere[i]), view_.sides[i]);
    painter.setPen(Qt::white);
    painter.drawText(inside, static_cast<int>(kWhere[i]), view_.sides[i]);
  }
}
