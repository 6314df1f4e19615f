// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "label_file.hpp"

#include <QImage>
#include <QSaveFile>
#include <stdexcept>

#include "nifti.hpp"

namespace {

[[noreturn]] void refuse(const QString& path, const QString& why) {
  throw std::runtime_error((path + ": " + why).toStdString());
}

}  // namespace

void write_labels(const QString& path, const std::vector<std::uint8_t>& labels, const Picture& picture) {
  const bool nifti = is_nifti(path);
  const bool image = path.endsWith(".png", Qt::CaseInsensitive) && picture.depth == 1 && picture.nifti_header.empty();
  if (!nifti && !image) refuse(path, "expected .nii or .nii.gz, or .png for the labels of an image");
  QSaveFile file(path);
  if (!file.open(QIODevice::WriteOnly)) refuse(path, file.errorString());
  if (nifti) {
    file.write(nifti_of(labels, picture, path.endsWith(".gz")));
  } else {
    const QImage gray(labels.data(), static_cast<int>(picture.width), static_cast<int>(picture.height),
                      static_cast<qsizetype>(picture.width), QImage::Format_Grayscale8);
    if (!gray.save(&file, "PNG")) refuse(path, "the picture could not be written");
  }
  if (!file.commit()) refuse(path, file.errorString());
}
