// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Planes of a volume as a screen shows them: the right way up, to scale, with the masks on them. Coordinates in a plane
// are medsam::Plane's.
#pragma once

#include <medsam/session.hpp>

#include <QColor>
#include <QImage>
#include <QLineF>
#include <QTransform>
#include <QVector>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "picture.hpp"

/// How a plane of an axis lies on the screen, as radiologists look at it: the patient's left and the back to the right,
/// the front and the head at the top; as it is stored, where the file does not say.
struct PlaneView {
  QTransform to_screen;  ///< From the plane, where pixel (i, j) is the square (i, j) to (i + 1, j + 1), to mm, from 0.
  QSizeF size;           ///< mm
  std::array<QString, 4> sides;  ///< The directions at the left, top, right and bottom; empty where unknown.
};

PlaneView plane_view(const Picture& picture, int axis);

/// "axial", "coronal" or "sagittal", or the axis of the array where the file does not say.
QString axis_name(const Picture& picture, int axis);

/// The number of planes along an axis.
std::int64_t plane_count(const Picture& picture, int axis);

/// The axes of the array that the columns and the rows of a plane run along.
std::pair<int, int> in_plane(int axis);

/// The pixels of a plane, in its own coordinates.
QImage plane_image(const Picture& picture, const medsam::Plane& plane);

/// The masks of a plane: their areas, transparent beside them, and the lines round them, in the plane's coordinates.
struct PlaneOverlay {
  QImage areas;
  std::vector<std::pair<QColor, QVector<QLineF>>> edges;  ///< Of each label.
};

/// The area of one mask, of a plane's size and not 0 where it is, in a color.
QImage mask_area(const QImage& mask, const QColor& color);

/// colors[k - 1] is that of label k.
PlaneOverlay plane_overlay(const Picture& picture, const std::vector<std::uint8_t>& labels, const medsam::Plane& plane,
                           const std::vector<QColor>& colors);
