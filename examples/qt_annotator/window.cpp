// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "window.hpp"

#include <QFileDialog>
#include <QKeySequence>
#include <QMenuBar>
#include <QStatusBar>
#include <QVBoxLayout>
#include <exception>

Window::Window(Session* session)
    : session_(session),
      canvas_(new Canvas),
      slider_(new QSlider(Qt::Horizontal)),
      encode_text_(new QLabel),
      mask_text_(new QLabel) {
  setWindowTitle("medsam-engine annotator");
  auto* middle = new QWidget;
  auto* layout = new QVBoxLayout(middle);
  layout->addWidget(canvas_, 1);
  layout->addWidget(slider_);
  setCentralWidget(middle);
  slider_->hide();
  statusBar()->addWidget(encode_text_);
  statusBar()->addWidget(mask_text_, 1);
  menuBar()->addAction("&Open...", QKeySequence::Open, this, &Window::choose_file);

  connect(slider_, &QSlider::valueChanged, this, &Window::show_slice);
  connect(canvas_, &Canvas::box_changed, session_, &Session::ask);
  connect(session_, &Session::encoded, this, [this](double ms) {
    const QString slice =
        picture_->depth > 1 ? QString("slice %1 of %2, ").arg(slider_->value() + 1).arg(picture_->depth) : QString();
    encode_text_->setText(QString("%1 in %2: %3encoded in %4 ms; ")
                              .arg(QString::fromStdString(session_->info().family),
                                   QString::fromStdString(session_->info().precision), slice)
                              .arg(ms, 0, 'f', 1));
  });
  connect(session_, &Session::masked, this, [this](const Mask& mask) {
    canvas_->set_mask(mask);
    mask_text_->setText(QString("mask in %1 ms, %2 pixels, estimated IoU %3")
                            .arg(mask.ms, 0, 'f', 1)
                            .arg(mask.stats.area)
                            .arg(mask.iou, 0, 'f', 2));
  });
  connect(session_, &Session::failed, this, [this](const QString& message) { statusBar()->showMessage(message); });
}

void Window::choose_file() {
  const QString path = QFileDialog::getOpenFileName(this, "Open an image or a volume", {},
                                                    "Images and volumes (*.png *.jpg *.jpeg *.bmp *.nii *.nii.gz)");
  if (!path.isEmpty()) open(path);
}

bool Window::open(const QString& path) {
  try {
    picture_ = std::make_shared<Picture>(read_picture(path));
  } catch (const std::exception& error) {
    statusBar()->showMessage(QString::fromUtf8(error.what()));
    return false;
  }
  statusBar()->clearMessage();
  const int middle = static_cast<int>(picture_->depth / 2);
  const QSignalBlocker quiet(slider_);
  slider_->setVisible(picture_->depth > 1);
  slider_->setRange(0, static_cast<int>(picture_->depth) - 1);
  slider_->setValue(middle);
  show_slice(middle);
  return true;
}

void Window::show_slice(int z) {
  canvas_->set_image(picture_->image(z));
  encode_text_->setText("encoding ...");
  mask_text_->setText("drag a box");
  session_->show(picture_, z);
}
