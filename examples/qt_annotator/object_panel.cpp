// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "object_panel.hpp"

#include <QHeaderView>
#include <QPixmap>
#include <QSignalBlocker>
#include <algorithm>

namespace {

enum Column { kName, kSize, kLocked };

const QColor kColors[] = {{0, 220, 255},   {255, 120, 60}, {150, 230, 80}, {255, 100, 220},
                          {140, 140, 255}, {240, 230, 90}, {90, 220, 170}, {230, 160, 120}};

}  // namespace

QString size_text(std::int64_t voxels, const Picture& picture) {
  if (picture.nifti_header.empty()) return QString("%1 pixels").arg(voxels);
  const double ml = static_cast<double>(voxels) * picture.spacing[0] * picture.spacing[1] * picture.spacing[2] / 1000;
  return QString("%1 ml (%2 voxels)").arg(ml, 0, 'f', ml < 10 ? 3 : 1).arg(voxels);
}

ObjectPanel::ObjectPanel(QWidget* parent) : QTreeWidget(parent) {
  setHeaderLabels({"Object", "Size", "Locked"});
  setRootIsDecorated(false);
  setUniformRowHeights(true);
  setFocusPolicy(Qt::NoFocus);  // the keys are the window's
  header()->setSectionResizeMode(QHeaderView::ResizeToContents);
  header()->setStretchLastSection(false);
  header()->setSectionResizeMode(kSize, QHeaderView::Stretch);
  connect(this, &QTreeWidget::currentItemChanged, this, [this](QTreeWidgetItem* item) {
    if (item != nullptr) current_ = item->text(kName);
  });
  connect(this, &QTreeWidget::itemChanged, this, [this](QTreeWidgetItem* item, int column) {
    if (column == kLocked) emit lock_asked(item->text(kName), item->checkState(kLocked) == Qt::Checked);
  });
}

void ObjectPanel::begin() {
  objects_.clear();
  current_ = "object 1";
  rebuild(nullptr);
}

QString ObjectPanel::current() const { return current_; }

bool ObjectPanel::current_is_empty() const {
  return std::none_of(objects_.begin(), objects_.end(), [this](const medsam::SessionObject& object) {
    return QString::fromStdString(object.name) == current_;
  });
}

QColor ObjectPanel::color(const QString& name) {
  if (!colors_.contains(name)) colors_.insert(name, static_cast<int>(colors_.size()));
  return kColors[static_cast<std::size_t>(colors_.value(name)) % std::size(kColors)];
}

QString ObjectPanel::unused_name() const {
  for (int number = 1;; ++number) {
    const QString name = QString("object %1").arg(number);
    const bool used = std::any_of(objects_.begin(), objects_.end(), [&](const medsam::SessionObject& object) {
      return QString::fromStdString(object.name) == name;
    });
    if (!used) return name;
  }
}

void ObjectPanel::add() {
  if (current_is_empty()) return;
  current_ = unused_name();
  append(current_, "empty");
}

QTreeWidgetItem* ObjectPanel::append(const QString& name, const QString& size) {
  auto* item = new QTreeWidgetItem(this, {name, size});
  QPixmap sample(12, 12);
  sample.fill(color(name));
  item->setIcon(kName, sample);
  if (name == current_) setCurrentItem(item);
  return item;
}

void ObjectPanel::choose(int row) {
  if (row >= 0 && row < topLevelItemCount()) setCurrentItem(topLevelItem(row));
}

void ObjectPanel::show(const std::vector<medsam::SessionObject>& objects, const Picture& picture) {
  objects_ = objects;
  rebuild(&picture);
}

void ObjectPanel::rebuild(const Picture* picture) {
  const QSignalBlocker quiet(this);
  clear();
  for (const medsam::SessionObject& object : objects_) {
    auto* item = append(QString::fromStdString(object.name), size_text(object.voxels, *picture));
    item->setCheckState(kLocked, object.locked ? Qt::Checked : Qt::Unchecked);
  }
  if (current_is_empty()) append(current_, "empty");
}
