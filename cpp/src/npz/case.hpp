// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One case of the MedSAM-on-laptop challenge: NAME.npz with the keys imgs and boxes. Other keys (gts, spacing) are not
// read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "medsam/folder.hpp"
#include "medsam/image.hpp"
#include "medsam/prompt.hpp"
#include "medsam/volume.hpp"
#include "npz/npy.hpp"

namespace medsam::npz {

/// Most bytes of boxes: 1.3 million objects of int64.
inline constexpr std::uint64_t kLargestBoxes = std::uint64_t{64} << 20;

struct Case {
  explicit Case(NpyArray pixels) : imgs(std::move(pixels)) {}

  NpyArray imgs;
  PixelType pixel_type = PixelType::u8;
  bool is_volume = false;
  std::int64_t depth = 1, height = 0, width = 0;
  int channels = 1;
  std::vector<Box> boxes;      ///< Of an image.
  std::vector<Box3D> boxes3d;  ///< Of a volume.

  [[nodiscard]] std::int64_t objects() const { return static_cast<std::int64_t>(boxes.size() + boxes3d.size()); }
  [[nodiscard]] ImageView image() const;
  [[nodiscard]] VolumeView volume() const;
};

/// The modality that a challenge case's file name tells, its second field: "2DBox_X-Ray_0001.npz" is XRay. "" when it
/// names none.
std::string case_modality(const std::string& name);

/// How much of a case may be read.
struct ReadLimits {
  std::uint64_t max_bytes = default_max_bytes();  ///< Of imgs, unpacked; a larger case is refused.
  std::optional<std::uint64_t> wait_above;        ///< Of imgs; a larger case is left for later.
};

/// Reads a case; nothing when its imgs take more than `limits.wait_above` bytes. A name that starts with 2DBox_ is an
/// image, (H, W) or (H, W, 3), with boxes (N, 4); one that starts with 3DBox_ a volume, (D, H, W) or (D, H, W, 3), with
/// boxes (N, 6); any other name goes by the width of its boxes. imgs are uint8, uint16, int16 or float32 as the engine
/// takes them, boxes of any integer or float type; N may be 0. InvalidArgument, OutOfMemory.
std::optional<Case> read_case(const std::string& path, const ReadLimits& limits = {});

}  // namespace medsam::npz
