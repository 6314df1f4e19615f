// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The menus and tools of the window, and their keys.
#include <medsam/window.hpp>

#include <QActionGroup>
#include <QFileDialog>
#include <QInputDialog>
#include <QMenuBar>
#include <QToolBar>
#include <stdexcept>
#include <utility>

#include "window.hpp"

QAction* Window::add_action(QMenu* menu, const QString& text, const QKeySequence& key, std::function<void()> f) {
  QAction* action = menu->addAction(text);
  action->setShortcut(key);
  connect(action, &QAction::triggered, this, std::move(f));
  addAction(action);
  return action;
}

void Window::make_file_menu() {
  QMenu* menu = menuBar()->addMenu("&File");
  add_action(menu, "&Open...", QKeySequence("Ctrl+O"), [this] { choose_file(); });
  add_action(menu, "Intensity &window...", QKeySequence("W"), [this] { choose_window(); });
  add_action(menu, "&Save labels...", QKeySequence("Ctrl+S"), [this] { choose_labels(); });
  menu->addSeparator();
  add_action(menu, "Load session...", QKeySequence("Ctrl+Shift+O"), [this] { choose_session(false); });
  add_action(menu, "Save session...", QKeySequence("Ctrl+Shift+S"), [this] { choose_session(true); });
  menu->addSeparator();
  add_action(menu, "&Quit", QKeySequence("Ctrl+Q"), [this] { close(); });
}

void Window::make_edit_menu() {
  QMenu* menu = menuBar()->addMenu("&Edit");
  undo_ = add_action(menu, "&Undo", QKeySequence("Ctrl+Z"), [this] {
    if (canvas_->cancel_drag()) return;  // what is in hand is the last thing that was done
    controller_->call("undo", [](medsam::Session& session) { return session.undo(); });
  });
  redo_ = add_action(menu, "&Redo", QKeySequence("Ctrl+Shift+Z"),
                     [this] { controller_->call("redo", [](medsam::Session& session) { return session.redo(); }); });
  undo_->setEnabled(false);
  redo_->setEnabled(false);
}

void Window::make_object_menu() {
  QMenu* menu = menuBar()->addMenu("&Object");
  add_action(menu, "&New", QKeySequence("N"), [this] { panel_->add(); });
  add_action(menu, "&Lock or unlock", QKeySequence("L"), [this] {
    const std::string name = panel_->current().toStdString();
    bool locked = false;
    for (const medsam::SessionObject& object : view_.objects) locked |= object.name == name && object.locked;
    lock(panel_->current(), !locked);
  });
  add_action(menu, "&Remove", QKeySequence("Del"), [this] {
    ask("remove", [name = panel_->current().toStdString()](medsam::Session& session) { return session.remove(name); });
  });
  menu->addSeparator();
  add_action(menu, "&Propagate", QKeySequence("P"), [this] {
    medsam::PropagateOptions options;
    options.axis = axis_;
    propagate(options);
  });
  add_action(menu, "Propagate as &far as...", QKeySequence("Shift+P"), [this] { propagate_far(); });
  add_action(menu, "&Cancel", QKeySequence("Esc"), [this] { cancel(); });
  for (int number = 1; number <= 9; ++number) {
    auto* action = new QAction(this);
    action->setShortcut(QKeySequence(QString::number(number)));
    connect(action, &QAction::triggered, this, [this, number] { panel_->choose(number - 1); });
    addAction(action);
  }
}

void Window::make_view_menu() {
  QMenu* menu = menuBar()->addMenu("&View");
  auto* axes = new QActionGroup(this);
  constexpr const char* kAxisKeys[] = {"Z", "Y", "X"};
  for (int axis = 0; axis < 3; ++axis) {
    QAction* action = add_action(menu, QString("along %1").arg(QString(kAxisKeys[axis]).toLower()),
                                 QKeySequence(kAxisKeys[axis]), [this, axis] { show_axis(axis); });
    action->setCheckable(true);
    axes->addAction(action);
    axis_actions_[static_cast<std::size_t>(axis)] = action;
  }
  menu->addSeparator();
  add_action(menu, "Next plane", QKeySequence("PgUp"), [this] { scroll(1); });
  add_action(menu, "Previous plane", QKeySequence("PgDown"), [this] { scroll(-1); });
  add_action(menu, "Reset zoom", QKeySequence("R"), [this] { canvas_->reset_zoom(); });
  hide_ = add_action(menu, "Hide masks", QKeySequence("H"), [this] { show_overlay(); });
  hide_->setCheckable(true);
}

void Window::make_tools() {
  QToolBar* bar = addToolBar("Tools");
  bar->setMovable(false);
  for (QAction* action : axis_actions_) bar->addAction(action);
  bar->addSeparator();
  QMenu* menu = menuBar()->addMenu("&Tool");
  auto* tools = new QActionGroup(this);
  const auto add = [&](const QString& text, const QString& key, Tool tool, const QString& tip) {
    QAction* action = add_action(menu, text, QKeySequence(key), [this, tool] { canvas_->set_tool(tool); });
    action->setCheckable(true);
    action->setToolTip(tip);
    tools->addAction(action);
    bar->addAction(action);
    return action;
  };
  add("Box", "B", Tool::box, "Drag a box round the object")->setChecked(true);
  add("Scribble", "S", Tool::scribble, "Draw a line through the object");
  add("Lasso", "O", Tool::lasso, "Draw a line round the object");
  bar->addSeparator();
  bar->addAction(undo_);
  bar->addAction(redo_);
  bar->setToolTip("Click: on the object. Right button or Shift: beside it.");
}

void Window::choose_file() {
  const QString path = QFileDialog::getOpenFileName(this, "Open an image or a volume", {},
                                                    "Images and volumes (*.png *.jpg *.jpeg *.bmp *.nii *.nii.gz)");
  if (!path.isEmpty()) open(path);
}

void Window::choose_labels() {
  if (!picture_) return;
  const QString kinds = picture_->nifti_header.empty() ? "Pictures (*.png)" : "NIfTI (*.nii.gz *.nii)";
  const QString path = QFileDialog::getSaveFileName(this, "Save the labels", {}, kinds);
  if (!path.isEmpty()) controller_->save_labels(path);
}

void Window::choose_session(bool save) {
  if (!picture_) return;
  const QString kind = "Sessions (*.session)";
  if (save) {
    const QString path = QFileDialog::getSaveFileName(this, "Save the session", {}, kind);
    if (!path.isEmpty()) controller_->save_session(path);
    return;
  }
  const QString path = QFileDialog::getOpenFileName(this, "Load a session", {}, kind);
  if (path.isEmpty()) return;
  load_session(path);
}

void Window::load_session(const QString& path) {
  controller_->call("load", [path = path.toStdString()](medsam::Session& session) {
    const medsam::VoxelBox changed = session.load(path);
    if (session.objects().size() <= SessionController::kMostObjects) return changed;
    session.undo();
    throw std::runtime_error(path + ": more objects than this program's labels can number");
  });
}

// The session is about the bytes that the window gives, so another window is another session.
void Window::choose_window() {
  QStringList words = {"percentile", "full"};
  for (const medsam::CtPreset& preset : medsam::ct_presets()) words << QString::fromStdString(preset.name);
  bool accepted = false;
  const QString word = QInputDialog::getItem(
      this, "Intensity window", "A name, or WIDTH,LEVEL; the file is opened again:", words, 0, true, &accepted);
  if (!accepted) return;
  contrast_.window = word.toStdString();
  if (picture_) open(path_);
}

void Window::propagate_far() {
  bool accepted = false;
  medsam::PropagateOptions options;
  options.axis = axis_;
  options.distance =
      QInputDialog::getDouble(this, "Propagate", "Beyond the planes with prompts, in mm:", 20, 0, 10000, 1, &accepted);
  if (accepted) propagate(options);
}
