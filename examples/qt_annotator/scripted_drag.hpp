// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A hand for tests and screenshots: drags a box, waits for its masks, saves the window.
#pragma once

#include <QEvent>
#include <QObject>
#include <QRect>
#include <QString>
#include <vector>

#include "session.hpp"
#include "window.hpp"

/// Drags once from corner to corner in steps, each after the mask of the one before; the last ones in one burst, which
/// only its last box's mask answers. Then saves the window's picture, prints a line of JSON and ends the program: 0, or
/// 1 after an error.
class ScriptedDrag : public QObject {
  Q_OBJECT

 public:
  ScriptedDrag(Window* window, Session* session, const QRect& box, QString picture);

 private:
  void mouse(QEvent::Type type, const QPoint& pixel);
  void move_to(int step);
  void on_mask(const Mask& mask);

  Window* window_;
  QRect box_, asked_;  // what is to be dragged; what the canvas made of it so far
  QString picture_;
  int step_ = 0;
  double encode_ms_ = 0;
  std::vector<double> mask_ms_;
};
