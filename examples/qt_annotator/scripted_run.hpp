// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A hand for tests and screenshots: moves the mouse, presses keys, saves pictures of the window.
#pragma once

#include <QEvent>
#include <QJsonObject>
#include <QObject>
#include <QString>
#include <QStringList>

#include "session_controller.hpp"
#include "window.hpp"

/// Runs steps, separated by ";", each after the session has answered the one before, and ends the program: 0, or 1
/// after a step that it does not know. Prints a line of JSON after each step. A step that begins with "+" is not waited
/// for.
///   drag X0 Y0 X1 Y1 | click X Y | reject X Y | scribble X Y X Y ... | scratch X Y X Y ... | lasso X Y X Y ...
///   (pixels of the plane; reject and scratch are a click and a line beside the object) | hold X0 Y0 X1 Y1 (a drag
///   whose button is not released)
///   wheel PLANES | key KEYS (of an action, as in a menu) | shot PICTURE.png | save LABELS | save-session FILE |
///   load-session FILE
class ScriptedRun : public QObject {
  Q_OBJECT

 public:
  ScriptedRun(Window* window, SessionController* controller, const QString& script);

 private:
  void next();
  void finish_step();
  bool start(const QStringList& words);
  bool draw(const QString& kind, const QList<QPoint>& pixels);
  void mouse(QEvent::Type type, const QPoint& pixel, Qt::MouseButton button);
  bool press(const QString& keys);
  void turn_wheel(int planes);
  bool save_picture(const QString& path);
  [[nodiscard]] QJsonObject state() const;

  Window* window_;
  SessionController* controller_;
  QStringList steps_;
  QString step_;
  bool opened_ = false, running_ = false;
  int answers_ = 0;  // since the program began
  int preview_ = 0;  // pixels of the step's last preview
  QString error_;    // of the step
};
