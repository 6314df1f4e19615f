// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The answer to a case: NAME.npz with the single key segs, as np.savez_compressed writes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "medsam/image.hpp"
#include "medsam/volume.hpp"
#include "npz/bytes.hpp"
#include "npz/case.hpp"

namespace medsam::npz {

/// A label map (H, W) or (D, H, W) with its NPY header in front, so that it is compressed from where it was written.
/// uint16, or uint32 when there are more than 65535 objects: never narrower, so no label wraps.
class Segs {
 public:
  /// Labels of a case, uninitialized.
  explicit Segs(const Case& c);

  void clear();
  [[nodiscard]] LabelView image() const;
  [[nodiscard]] LabelVolumeView volume() const;
  [[nodiscard]] const Bytes& npy() const { return npy_; }

 private:
  std::int64_t depth_, height_, width_;
  LabelType type_;
  Bytes npy_;
};

/// When sizes go into the zip64 extra field.
enum class Zip64 : std::uint8_t { when_needed, always };

/// Writes the NPZ whole or not at all (write_file_atomically). The bytes depend on the labels alone: no time stamp.
void write_segs(const std::string& path, const Segs& segs, Zip64 zip64 = Zip64::when_needed);

/// Whether `path` is an NPZ with the key segs, by its directory: write_segs leaves no half file.
bool is_segs_file(const std::string& path);

}  // namespace medsam::npz
