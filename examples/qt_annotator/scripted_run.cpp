// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "scripted_run.hpp"

#include <QAction>
#include <QApplication>
#include <QCryptographicHash>
#include <QJsonArray>
#include <QJsonDocument>
#include <QMouseEvent>
#include <QPixmap>
#include <QTimer>
#include <QWheelEvent>
#include <algorithm>
#include <cstdio>

namespace {

constexpr int kDragSteps = 20;

}  // namespace

ScriptedRun::ScriptedRun(Window* window, SessionController* controller, const QString& script)
    : QObject(window), window_(window), controller_(controller), steps_(script.split(';', Qt::SkipEmptyParts)) {
  connect(controller, &SessionController::changed, this, [this](const SessionView& view) {
    ++answers_;
    if (!view.error.isEmpty()) error_ = view.error;
  });
  connect(controller, &SessionController::previewed, this, [this](const QImage& mask) {
    preview_ = 0;
    for (int row = 0; row < mask.height(); ++row) {
      const uchar* first = mask.constScanLine(row);
      preview_ += static_cast<int>(std::count(first, first + mask.width(), 1));
    }
  });
  connect(controller, &SessionController::opened, this, [this] { opened_ = true; });
  connect(controller, &SessionController::failed, this, [this](const QString& message) {
    error_ = message;
    if (opened_) return;
    std::fprintf(stderr, "qt_annotator: %s\n", qPrintable(message));
    QApplication::exit(1);
  });
  connect(controller, &SessionController::busy_changed, this, [this](bool busy) {
    if (busy || !opened_) return;
    // The window shows what was answered before the next step begins.
    QTimer::singleShot(0, this, running_ ? &ScriptedRun::finish_step : &ScriptedRun::next);
  });
}

void ScriptedRun::next() {
  running_ = true;
  while (!steps_.isEmpty()) {
    step_ = steps_.takeFirst().trimmed();
    const bool wait = !step_.startsWith('+');
    if (!start((wait ? step_ : step_.mid(1)).split(' ', Qt::SkipEmptyParts))) {
      std::fprintf(stderr, "qt_annotator: the step \"%s\" cannot be done\n", qPrintable(step_));
      return QApplication::exit(1);
    }
    if (!wait) continue;
    if (!controller_->busy()) QTimer::singleShot(0, this, &ScriptedRun::finish_step);
    return;
  }
  QApplication::exit(0);
}

void ScriptedRun::finish_step() {
  if (controller_->busy()) return;  // the end of what it does comes later
  const QByteArray line = QJsonDocument(state()).toJson(QJsonDocument::Compact);
  std::printf("%s\n", line.constData());
  std::fflush(stdout);
  error_.clear();
  preview_ = 0;
  next();
}

QJsonObject ScriptedRun::state() const {
  const SessionView& view = window_->view();
  QJsonArray objects;
  for (const medsam::SessionObject& object : view.objects) {
    objects.append(QJsonObject{{"name", QString::fromStdString(object.name)},
                               {"voxels", static_cast<qint64>(object.voxels)},
                               {"locked", object.locked},
                               {"prompts", static_cast<qint64>(object.prompts)}});
  }
  const auto* bytes = reinterpret_cast<const char*>(view.labels->data());
  const QByteArray digest = QCryptographicHash::hash(
      QByteArray::fromRawData(bytes, static_cast<qsizetype>(view.labels->size())), QCryptographicHash::Sha256);
  return {{"step", step_},
          {"error", error_},
          {"message", window_->message()},
          {"objects", objects},
          {"digest", QString(digest.toHex())},
          {"axis", window_->plane().axis},
          {"plane", static_cast<qint64>(window_->plane().index)},
          {"undo", static_cast<qint64>(view.undo_steps)},
          {"redo", static_cast<qint64>(view.redo_steps)},
          {"answers", answers_},
          {"preview", preview_},
          {"ms", view.ms}};
}

bool ScriptedRun::start(const QStringList& words) {
  if (words.size() < 2) return false;
  const QString& kind = words[0];
  if (kind == "key") return press(words[1]);
  if (kind == "shot") return save_picture(words[1]);
  if (kind == "wheel") return turn_wheel(words[1].toInt()), true;
  if (kind == "save") return controller_->save_labels(words[1]), true;
  if (kind == "load-session") return window_->load_session(words[1]), true;
  if (kind == "save-session") return controller_->save_session(words[1]), true;
  QList<QPoint> pixels;
  for (int i = 1; i + 1 < words.size(); i += 2) pixels << QPoint(words[i].toInt(), words[i + 1].toInt());
  return draw(kind, pixels);
}

bool ScriptedRun::draw(const QString& kind, const QList<QPoint>& pixels) {
  if (pixels.isEmpty()) return false;
  const Qt::MouseButton button = kind == "reject" || kind == "scratch" ? Qt::RightButton : Qt::LeftButton;
  if (kind == "scribble" || kind == "lasso") press(kind == "scribble" ? "S" : "O");
  mouse(QEvent::MouseButtonPress, pixels.first(), button);
  if ((kind == "drag" || kind == "hold") && pixels.size() == 2) {
    const QPoint way = pixels[1] - pixels[0];
    for (int i = 1; i <= kDragSteps; ++i) mouse(QEvent::MouseMove, pixels[0] + way * i / kDragSteps, button);
  } else if (kind == "scribble" || kind == "scratch" || kind == "lasso") {
    for (const QPoint& pixel : pixels) mouse(QEvent::MouseMove, pixel, button);
  } else if (kind != "click" && kind != "reject") {
    return false;
  }
  if (kind == "hold") return true;
  mouse(QEvent::MouseButtonRelease, pixels.last(), button);
  if (kind == "scribble" || kind == "lasso") press("B");
  return true;
}

void ScriptedRun::mouse(QEvent::Type type, const QPoint& pixel, Qt::MouseButton button) {
  const QPointF position = window_->canvas()->position_of(pixel);
  const Qt::MouseButtons held = type == QEvent::MouseButtonRelease ? Qt::NoButton : button;
  QMouseEvent event(type, position, window_->canvas()->mapToGlobal(position),
                    type == QEvent::MouseMove ? Qt::NoButton : button, held, Qt::NoModifier);
  QApplication::sendEvent(window_->canvas(), &event);
}

bool ScriptedRun::press(const QString& keys) {
  for (QAction* action : window_->actions()) {
    if (action->shortcut() != QKeySequence(keys)) continue;
    action->trigger();  // without effect where it is disabled, as a key is
    return true;
  }
  return false;
}

void ScriptedRun::turn_wheel(int planes) {
  const QPointF middle = window_->canvas()->rect().center();
  QWheelEvent event(middle, window_->canvas()->mapToGlobal(middle), {}, {0, 120 * planes}, Qt::NoButton, Qt::NoModifier,
                    Qt::NoScrollPhase, false);
  QApplication::sendEvent(window_->canvas(), &event);
}

bool ScriptedRun::save_picture(const QString& path) { return window_->grab().save(path); }
