// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The window: the picture, a slider through a volume's slices, and what the engine just did.
#pragma once

#include <QLabel>
#include <QMainWindow>
#include <QSlider>
#include <memory>

#include "canvas.hpp"
#include "picture.hpp"
#include "session.hpp"

class Window : public QMainWindow {
  Q_OBJECT

 public:
  explicit Window(Session* session);

  /// Opens a file, or says in the status line why it cannot.
  bool open(const QString& path);
  [[nodiscard]] Canvas* canvas() { return canvas_; }

 private:
  void choose_file();
  void show_slice(int z);

  Session* session_;
  Canvas* canvas_;
  QSlider* slider_;
  QLabel *encode_text_, *mask_text_;
  std::shared_ptr<const Picture> picture_;
};
