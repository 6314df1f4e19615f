// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "scripted_drag.hpp"

#include <QApplication>
#include <QMouseEvent>
#include <QPixmap>
#include <algorithm>
#include <cstdio>
#include <utility>

namespace {

constexpr int kSteps = 20, kBurst = 5;  // the burst is the last of the steps

}  // namespace

ScriptedDrag::ScriptedDrag(Window* window, Session* session, const QRect& box, QString picture)
    : QObject(window), window_(window), box_(box), picture_(std::move(picture)) {
  connect(session, &Session::encoded, this, [this](double ms) {
    encode_ms_ = ms;
    mouse(QEvent::MouseButtonPress, box_.topLeft());
    move_to(++step_);
  });
  connect(window->canvas(), &Canvas::box_changed, this, [this](const QRect& asked) { asked_ = asked; });
  connect(session, &Session::masked, this, &ScriptedDrag::on_mask);
  connect(session, &Session::failed, this, [](const QString& message) {
    std::fprintf(stderr, "qt_annotator: %s\n", qPrintable(message));
    QApplication::exit(1);
  });
}

void ScriptedDrag::mouse(QEvent::Type type, const QPoint& pixel) {
  const QPointF position = window_->canvas()->position_of(pixel);
  const Qt::MouseButton button = type == QEvent::MouseMove ? Qt::NoButton : Qt::LeftButton;
  const Qt::MouseButtons held = type == QEvent::MouseButtonRelease ? Qt::NoButton : Qt::LeftButton;
  QMouseEvent event(type, position, window_->canvas()->mapToGlobal(position), button, held, Qt::NoModifier);
  QApplication::sendEvent(window_->canvas(), &event);
}

void ScriptedDrag::move_to(int step) {
  mouse(QEvent::MouseMove, {box_.left() + box_.width() * step / kSteps - (step == kSteps ? 1 : 0),
                            box_.top() + box_.height() * step / kSteps - (step == kSteps ? 1 : 0)});
}

void ScriptedDrag::on_mask(const Mask& mask) {
  mask_ms_.push_back(mask.ms);
  if (step_ == kSteps && mask.box == asked_) {
    mouse(QEvent::MouseButtonRelease, box_.bottomRight());
    std::vector<double> sorted = mask_ms_;
    std::sort(sorted.begin(), sorted.end());
    std::printf("{\"masks\": %zu, \"area\": %lld, \"encode_ms\": %.2f, \"mask_ms\": %.2f, \"slowest_mask_ms\": %.2f}\n",
                mask_ms_.size(), static_cast<long long>(mask.stats.area), encode_ms_, sorted[sorted.size() / 2],
                sorted.back());
    // The window's own slot came first, so the mask is on it.
    QApplication::exit(mask.box == box_ && window_->grab().save(picture_) ? 0 : 1);
  } else if (step_ < kSteps - kBurst) {
    move_to(++step_);
  } else {
    while (step_ < kSteps) move_to(++step_);
  }
}
