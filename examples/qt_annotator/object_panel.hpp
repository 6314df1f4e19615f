// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The list of objects: their colors, their sizes, and which of them is being drawn.
#pragma once

#include <medsam/session.hpp>

#include <QColor>
#include <QHash>
#include <QTreeWidget>
#include <vector>

#include "picture.hpp"

class ObjectPanel : public QTreeWidget {
  Q_OBJECT

 public:
  explicit ObjectPanel(QWidget* parent = nullptr);

  /// Forgets all objects but a first, empty one.
  void begin();
  /// The session's objects. One that is being begun stays in the list.
  void show(const std::vector<medsam::SessionObject>& objects, const Picture& picture);
  /// Begins another object, unless the one that is being drawn is still empty.
  void add();
  /// Draws on the object at a place in the list, from 0.
  void choose(int row);

  [[nodiscard]] QString current() const;  ///< The name of the object that is being drawn.
  [[nodiscard]] bool current_is_empty() const;
  QColor color(const QString& name);  ///< Stays the same as long as the program runs.

 signals:
  void lock_asked(const QString& name, bool locked);

 private:
  [[nodiscard]] QString unused_name() const;
  void rebuild(const Picture* picture);
  QTreeWidgetItem* append(const QString& name, const QString& size);

  std::vector<medsam::SessionObject> objects_;
  QString current_;
  QHash<QString, int> colors_;  // numbers of colors
};

/// A size as text: "12.34 ml (5678 voxels)", or pixels where their size is not known.
QString size_text(std::int64_t voxels, const Picture& picture);
