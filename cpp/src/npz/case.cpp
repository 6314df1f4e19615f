// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "npz/case.hpp"

#include <algorithm>
#include <utility>

#include "bundle/modality.hpp"
#include "medsam/error.hpp"
#include "npz/zip_reader.hpp"
#include "platform/path.hpp"

namespace medsam::npz {

namespace {

const ZipEntry& entry_of(const ZipReader& zip, const std::string& key) {
  // np.savez appends .npy; np.load finds either.
  for (const std::string& name : {key + ".npy", key}) {
    if (const ZipEntry* entry = zip.find(name)) return *entry;
  }
  std::string got;
  for (const ZipEntry& entry : zip.entries()) {
    if (got.size() > 120) {
      got += ", ...";
      break;
    }
    got += (got.empty() ? "" : ", ") + entry.name.substr(0, 60);
  }
  throw InvalidArgument("npz: got no key " + key + " (keys: " + (got.empty() ? "none" : got) +
                        "), expected imgs and boxes; name the arrays so");
}

void check_limit(const ZipEntry& imgs, std::uint64_t max_bytes) {
  if (imgs.uncompressed <= max_bytes) return;
  throw InvalidArgument("imgs: got " + std::to_string(imgs.uncompressed) + " bytes unpacked, expected at most " +
                        std::to_string(max_bytes) + "; raise the limit with --max-bytes (max_bytes) or split the case");
}

PixelType pixel_type(const NpyArray& imgs) {
  const auto [kind, bytes] = imgs.type();
  if (kind == 'u' && bytes == 1) return PixelType::u8;
  if (kind == 'u' && bytes == 2) return PixelType::u16;
  if (kind == 'i' && bytes == 2) return PixelType::i16;
  if (kind == 'f' && bytes == 4) return PixelType::f32;
  throw InvalidArgument("imgs: got " + imgs.describe() +
                        ", expected uint8, uint16, int16 or float32; convert with astype to one that holds the values");
}

/// Whether the boxes are of a volume, by the file's name or else by their width.
bool boxes_of_volume(const NpyArray& boxes, const std::string& path) {
  const std::string name = platform::file_name(path);
  if (name.starts_with("3DBox_")) return true;
  if (name.starts_with("2DBox_")) return false;
  return boxes.shape().size() == 2 && boxes.shape()[1] == 6;
}

void check_boxes(const NpyArray& boxes, bool volume) {
  const std::int64_t width = volume ? 6 : 4;
  const auto& shape = boxes.shape();
  const bool empty = shape.size() == 1 && shape[0] == 0;  // np.array([]): no objects
  if (!empty && (shape.size() != 2 || shape[1] != width)) {
    throw InvalidArgument(
        "boxes: got shape " + shape_text(shape) + ", expected " +
        (volume ? "(N, 6) x0, y0, z0, x1, y1, z1 for a volume" : "(N, 4) x0, y0, x1, y1 for an image") +
        "; a name that starts with 3DBox_ is a volume, with 2DBox_ an image");
  }
  if (boxes.type().kind == 'b') {
    throw InvalidArgument("boxes: got bool, expected an integer or float type; save the coordinates");
  }
}

void set_shape(Case& c) {
  const auto& shape = c.imgs.shape();
  const std::size_t planes = c.is_volume ? 3 : 2;
  const bool channels = shape.size() == planes + 1 && (shape.back() == 3 || shape.back() == 1);
  const bool pixels = std::all_of(shape.begin(), shape.end(), [](std::int64_t d) { return d > 0; });
  if ((shape.size() != planes && !channels) || !pixels) {
    throw InvalidArgument("imgs: got " + c.imgs.describe() + ", expected " +
                          (c.is_volume ? "a volume (D, H, W) or (D, H, W, 3)" : "an image (H, W) or (H, W, 3)") +
                          "; a name that starts with 3DBox_ is a volume, with 2DBox_ an image");
  }
  c.depth = c.is_volume ? shape[0] : 1;
  c.height = shape[planes - 2];
  c.width = shape[planes - 1];
  c.channels = channels ? static_cast<int>(shape.back()) : 1;
}

void set_boxes(Case& c, const NpyArray& boxes) {
  const std::vector<double> values = boxes.to_doubles();
  for (std::size_t i = 0; i < values.size(); i += c.is_volume ? 6 : 4) {
    const double* v = values.data() + i;
    if (c.is_volume) {
      c.boxes3d.push_back({v[0], v[1], v[2], v[3], v[4], v[5]});
    } else {
      c.boxes.push_back({v[0], v[1], v[2], v[3]});
    }
  }
}

}  // namespace

ImageView Case::image() const {
  return {imgs.data(), pixel_type, height, width, channels, width * channels * imgs.type().bytes};
}

VolumeView Case::volume() const {
  const std::int64_t row = width * channels * imgs.type().bytes;
  return {imgs.data(), pixel_type, depth, height, width, channels, row, height * row};
}

std::optional<Case> read_case(const std::string& path, const ReadLimits& limits) {
  const ZipReader zip(path);
  const ZipEntry& imgs = entry_of(zip, "imgs");
  check_limit(imgs, limits.max_bytes);
  if (limits.wait_above && imgs.uncompressed > *limits.wait_above) return std::nullopt;
  const NpyArray boxes(zip.read(entry_of(zip, "boxes"), std::min(kLargestBoxes, limits.max_bytes)), "boxes");
  const bool volume = boxes_of_volume(boxes, path);
  check_boxes(boxes, volume);
  Case c(NpyArray(zip.read(imgs, limits.max_bytes), "imgs"));
  c.pixel_type = pixel_type(c.imgs);
  c.is_volume = volume;
  set_shape(c);
  set_boxes(c, boxes);
  return c;
}

std::string case_modality(const std::string& name) {
  const std::size_t begin = name.find('_');
  if (begin == std::string::npos) return "";
  const std::size_t end = name.find_first_of("_.", begin + 1);
  return canonical_modality(name.substr(begin + 1, end == std::string::npos ? end : end - begin - 1)).value_or("");
}

}  // namespace medsam::npz
