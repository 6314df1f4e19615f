// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "window.hpp"

#include <QCloseEvent>
#include <QDockWidget>
#include <QMessageBox>
#include <QSignalBlocker>
#include <QStatusBar>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

namespace {

constexpr const char* kWorking = "working ...";

// Whether a call was made with the mouse.
bool is_drawn(const QString& call) { return call == "box" || call == "click" || call == "scribble" || call == "lasso"; }

}  // namespace

Window::Window(SessionController* controller, Contrast contrast)
    : controller_(controller),
      contrast_(std::move(contrast)),
      canvas_(new Canvas),
      slider_(new QSlider(Qt::Horizontal)),
      panel_(new ObjectPanel),
      message_(new QLabel),
      plane_text_(new QLabel),
      encoding_text_(new QLabel),
      busy_text_(new QLabel),
      progress_(new QProgressBar),
      cancel_(new QPushButton("Cancel")) {
  setWindowTitle("medsam-engine annotator");
  auto* middle = new QWidget;
  auto* layout = new QVBoxLayout(middle);
  layout->addWidget(canvas_, 1);
  layout->addWidget(slider_);
  setCentralWidget(middle);
  slider_->hide();
  slider_->setFocusPolicy(Qt::NoFocus);  // the keys are the window's
  auto* dock = new QDockWidget("Objects");
  dock->setFeatures(QDockWidget::DockWidgetMovable);
  dock->setWidget(panel_);
  addDockWidget(Qt::RightDockWidgetArea, dock);
  resizeDocks({dock}, {280}, Qt::Horizontal);

  make_file_menu();
  make_edit_menu();
  make_object_menu();
  make_view_menu();
  make_tools();
  make_status_bar();
  connect_canvas();
  connect_controller();
  panel_->begin();
  canvas_->setEnabled(false);
  say("open an image or a volume");
}

void Window::make_status_bar() {
  message_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);  // a long message is cut, the tip has it all
  statusBar()->addWidget(message_, 1);
  for (QWidget* widget : std::initializer_list<QWidget*>{busy_text_, progress_, cancel_, plane_text_, encoding_text_}) {
    statusBar()->addPermanentWidget(widget);
  }
  busy_text_->setMinimumWidth(busy_text_->fontMetrics().horizontalAdvance(kWorking));  // nothing moves when it comes
  progress_->setMaximumWidth(160);
  progress_->hide();
  cancel_->hide();
  cancel_->setFocusPolicy(Qt::NoFocus);
  connect(cancel_, &QPushButton::clicked, this, &Window::cancel);
}

void Window::connect_canvas() {
  connect(slider_, &QSlider::valueChanged, this, [this](int index) {
    indices_[static_cast<std::size_t>(axis_)] = index;
    show_plane();
  });
  connect(canvas_, &Canvas::scrolled, this, &Window::scroll);
  connect(canvas_, &Canvas::boxed, this, [this](const QRect& box, bool finished) {
    if (ready_to_draw()) controller_->drag_box(panel_->current().toStdString(), box, plane(), finished);
    if (finished) look_at(box.center());
  });
  connect(canvas_, &Canvas::box_cancelled, controller_, &SessionController::cancel_drag);
  connect(canvas_, &Canvas::clicked, this, [this](const QPoint& at, bool positive) {
    ask("click", [name = panel_->current().toStdString(), at, positive, plane = plane()](medsam::Session& session) {
      return session.add_click(name, {static_cast<double>(at.x()), static_cast<double>(at.y())}, positive, plane);
    });
    look_at(at);
  });
  const auto points_of = [](const QPolygon& line) {
    std::vector<medsam::PlanePoint> points;
    for (const QPoint& point : line) points.push_back({static_cast<double>(point.x()), static_cast<double>(point.y())});
    return points;
  };
  connect(canvas_, &Canvas::scribbled, this, [this, points_of](const QPolygon& line, bool positive) {
    ask("scribble", [name = panel_->current().toStdString(), points = points_of(line), positive, plane = plane()](
                        medsam::Session& session) { return session.add_scribble(name, points, positive, plane); });
  });
  connect(canvas_, &Canvas::outlined, this, [this, points_of](const QPolygon& outline) {
    ask("lasso", [name = panel_->current().toStdString(), points = points_of(outline),
                  plane = plane()](medsam::Session& session) { return session.add_lasso(name, points, plane); });
  });
}

void Window::connect_controller() {
  connect(panel_, &ObjectPanel::lock_asked, this, &Window::lock);
  connect(controller_, &SessionController::opened, this, &Window::begin);
  connect(controller_, &SessionController::changed, this, &Window::show_view);
  connect(controller_, &SessionController::previewed, this, [this](const QImage& mask, const medsam::Plane& at) {
    if (at.axis != axis_ || at.index != plane().index) return;
    canvas_->set_preview(mask_area(mask, panel_->color(panel_->current())));
  });
  connect(controller_, &SessionController::failed, this, [this](const QString& message) {
    canvas_->setEnabled(picture_ != nullptr);
    say(message, true);
    if (asks_) QMessageBox::warning(this, windowTitle(), message);
  });
  connect(controller_, &SessionController::saved, this, [this](const QString& path) {
    unsaved_ = false;
    say("saved " + path);
  });
  connect(controller_, &SessionController::busy_changed, this, [this](bool busy) {
    busy_text_->setText(busy ? kWorking : "");
    if (busy) return;
    propagating_ = false;
    progress_->hide();
    cancel_->hide();
  });
  connect(controller_, &SessionController::progressed, this, [this](qint64 done, qint64 total) {
    if (!propagating_) return;  // a step that came after the end
    progress_->setRange(0, static_cast<int>(total));
    progress_->setValue(static_cast<int>(done));
  });
  connect(controller_, &SessionController::encoding, this, [this](qint64 encoded, qint64 total, bool idle) {
    encoding_text_->setText(
        QString(idle ? "%1 of %2 planes encoded" : "encoding: %1 of %2 planes").arg(encoded).arg(total));
  });
}

void Window::open(const QString& path) {
  if (!may_lose_work()) return;
  canvas_->setEnabled(false);  // what is drawn belongs to the next picture from here on
  path_ = path;
  say("opening " + path);
  controller_->open(path, contrast_);
}

void Window::begin(const std::shared_ptr<const Picture>& picture) {
  picture_ = picture;
  view_ = {};
  panel_->begin();
  unsaved_ = false;
  for (int axis = 0; axis < 3; ++axis) {
    indices_[static_cast<std::size_t>(axis)] = plane_count(*picture_, axis) / 2;
    axis_actions_[static_cast<std::size_t>(axis)]->setText(axis_name(*picture_, axis));
    axis_actions_[static_cast<std::size_t>(axis)]->setEnabled(picture_->depth > 1);
  }
  show_axis(0);
  canvas_->setEnabled(true);
}

void Window::show_axis(int axis) {
  if (!picture_ || (picture_->depth == 1 && axis != 0)) return;
  axis_ = axis;
  axis_actions_[static_cast<std::size_t>(axis)]->setChecked(true);
  const QSignalBlocker quiet(slider_);
  const auto count = static_cast<int>(plane_count(*picture_, axis));
  slider_->setVisible(count > 1);
  slider_->setRange(0, count - 1);
  slider_->setValue(static_cast<int>(plane().index));
  show_plane();
}

void Window::scroll(int planes) { slider_->setValue(slider_->value() + planes); }

// The planes of the other axes go through what was drawn.
void Window::look_at(const QPoint& pixel) {
  const auto [columns, rows] = in_plane(axis_);
  indices_[static_cast<std::size_t>(columns)] = pixel.x();
  indices_[static_cast<std::size_t>(rows)] = pixel.y();
}

void Window::show_plane() {
  if (!picture_) return;
  canvas_->cancel_drag();
  canvas_->set_plane(plane_image(*picture_, plane()), plane_view(*picture_, axis_));
  plane_text_->setText(picture_->depth > 1 ? QString("%1 %2 / %3")
                                                 .arg(axis_name(*picture_, axis_))
                                                 .arg(plane().index)
                                                 .arg(plane_count(*picture_, axis_) - 1)
                                           : QString());
  show_overlay();
}

void Window::show_overlay() {
  if (!picture_ || !view_.labels || hide_->isChecked()) return canvas_->set_overlay({});
  std::vector<QColor> colors;
  colors.reserve(view_.objects.size());
  for (const medsam::SessionObject& object : view_.objects) {
    colors.push_back(panel_->color(QString::fromStdString(object.name)));
  }
  canvas_->set_overlay(plane_overlay(*picture_, *view_.labels, plane(), colors));
}

void Window::show_view(const SessionView& view) {
  view_ = view;
  panel_->show(view.objects, *picture_);
  show_overlay();
  undo_->setEnabled(view.undo_steps > 0);
  redo_->setEnabled(view.redo_steps > 0);
  if (!is_drawn(view.call)) canvas_->clear_gesture();
  if (!view.error.isEmpty()) return say(view.error, true);
  unsaved_ = unsaved_ || view.call != "open";
  say(summary(view));
}

QString Window::summary(const SessionView& view) const {
  if (view.call == "open") return "drag a box, or click on an object";
  QString text = QString("%1 in %2 ms").arg(view.call).arg(view.ms, 0, 'f', 0);
  for (const medsam::SessionObject& object : view.objects) {
    if (QString::fromStdString(object.name) != panel_->current()) continue;
    text += QString("; %1: %2").arg(panel_->current(), size_text(object.voxels, *picture_));
  }
  if (view.changed.empty() && (is_drawn(view.call) || view.call == "propagate")) text += "; no voxel changed";
  return text;
}

void Window::say(const QString& message, bool error) {
  message_->setText(message);
  message_->setToolTip(message);
  message_->setStyleSheet(error ? "color: #c00000" : "");
}

// Another object would have a label that a byte does not hold.
bool Window::ready_to_draw() {
  if (!picture_) return false;
  if (!panel_->current_is_empty() || view_.objects.size() < SessionController::kMostObjects) return true;
  say(QString("there are %1 objects, as many as this program's labels can number").arg(view_.objects.size()), true);
  return false;
}

void Window::ask(const QString& name, SessionController::Call call) {
  if (ready_to_draw()) controller_->call(name, std::move(call));
}

void Window::lock(const QString& name, bool locked) {
  ask(locked ? "lock" : "unlock", [name = name.toStdString(), locked](medsam::Session& session) {
    session.lock(name, locked);
    return medsam::VoxelBox{};
  });
}

void Window::propagate(const medsam::PropagateOptions& options) {
  if (!picture_) return;
  propagating_ = true;
  progress_->setRange(0, 0);
  progress_->show();
  cancel_->show();
  say("propagating " + panel_->current());
  controller_->propagate(panel_->current().toStdString(), options);
}

void Window::cancel() {
  if (!canvas_->cancel_drag()) controller_->cancel();
}

bool Window::may_lose_work() {
  if (!asks_ || (!unsaved_ && !controller_->busy())) return true;
  return QMessageBox::question(this, windowTitle(), "Changes were not saved. Give them up?",
                               QMessageBox::Discard | QMessageBox::Cancel, QMessageBox::Cancel) == QMessageBox::Discard;
}

void Window::closeEvent(QCloseEvent* event) { may_lose_work() ? event->accept() : event->ignore(); }
