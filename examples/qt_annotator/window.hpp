// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The window: a plane, a slider through the others, the objects, and what the session just did.
#pragma once

#include <QAction>
#include <QLabel>
#include <QMainWindow>
#include <QProgressBar>
#include <QPushButton>
#include <QSlider>
#include <array>
#include <functional>
#include <memory>

#include "canvas.hpp"
#include "object_panel.hpp"
#include "picture.hpp"
#include "session_controller.hpp"

class Window : public QMainWindow {
  Q_OBJECT

 public:
  Window(SessionController* controller, Contrast contrast);

  /// Opens a file; what it says in the status line if it cannot comes later.
  void open(const QString& path);
  /// Replaces the objects by those of a session's file, as one step of undo.
  void load_session(const QString& path);
  /// Whether closing the window, or opening another file, asks first where work would be lost.
  void ask_before_losing(bool ask) { asks_ = ask; }

  [[nodiscard]] Canvas* canvas() { return canvas_; }
  [[nodiscard]] ObjectPanel* panel() { return panel_; }
  [[nodiscard]] medsam::Plane plane() const { return {axis_, indices_[static_cast<std::size_t>(axis_)]}; }
  [[nodiscard]] const SessionView& view() const { return view_; }
  [[nodiscard]] QString message() const { return message_->toolTip(); }

 protected:
  void closeEvent(QCloseEvent* event) override;

 private:
  // window_actions.cpp
  void make_file_menu();
  void make_edit_menu();
  void make_object_menu();
  void make_view_menu();
  void make_tools();
  QAction* add_action(QMenu* menu, const QString& text, const QKeySequence& key, std::function<void()> f);
  void choose_file();
  void choose_labels();
  void choose_session(bool save);
  void choose_window();
  void propagate_far();

  void make_status_bar();
  void connect_canvas();
  void connect_controller();
  bool may_lose_work();

  void begin(const std::shared_ptr<const Picture>& picture);
  void show_view(const SessionView& view);
  void show_plane();
  void show_overlay();
  void show_axis(int axis);
  void scroll(int planes);
  void look_at(const QPoint& pixel);
  void say(const QString& message, bool error = false);
  [[nodiscard]] QString summary(const SessionView& view) const;

  void ask(const QString& name, SessionController::Call call);
  [[nodiscard]] bool ready_to_draw();
  void lock(const QString& name, bool locked);
  void propagate(const medsam::PropagateOptions& options);
  void cancel();

  SessionController* controller_;
  Contrast contrast_;
  QString path_;  // that was opened last
  Canvas* canvas_;
  QSlider* slider_;
  ObjectPanel* panel_;
  QLabel *message_, *plane_text_, *encoding_text_, *busy_text_;
  QProgressBar* progress_;
  QPushButton* cancel_;
  QAction *undo_ = nullptr, *redo_ = nullptr, *hide_ = nullptr;
  std::array<QAction*, 3> axis_actions_{};

  std::shared_ptr<const Picture> picture_;
  SessionView view_;
  int axis_ = 0;
  std::array<std::int64_t, 3> indices_{};  // the plane of each axis that was looked at last
  bool unsaved_ = false, asks_ = true, propagating_ = false;
};
