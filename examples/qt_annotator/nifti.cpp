// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NIfTI-1, as nifti1.h of nifti.nimh.nih.gov defines it: a header of 348 bytes, then the voxels, x fastest.
#include "nifti.hpp"

#include <zlib.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace {

constexpr std::size_t kHeaderBytes = 348;
constexpr std::int64_t kMostVoxels = std::int64_t{1} << 29;  // what a header may ask for

template <class T>
T at(const std::array<char, kHeaderBytes>& header, std::size_t offset) {
  T value;
  std::memcpy(&value, header.data() + offset, sizeof value);
  return value;
}

void read_exactly(gzFile file, void* out, std::size_t bytes, const std::string& path) {
  auto* next = static_cast<char*>(out);
  while (bytes > 0) {
    const unsigned part = static_cast<unsigned>(std::min<std::size_t>(bytes, 1U << 30));
    const int read = gzread(file, next, part);
    if (read <= 0) throw std::runtime_error(path + ": ends too early");
    next += read;
    bytes -= static_cast<std::size_t>(read);
  }
}

template <class T>
std::vector<float> read_values(gzFile file, std::size_t count, const std::string& path) {
  std::vector<T> raw(count);
  read_exactly(file, raw.data(), count * sizeof(T), path);
  return {raw.begin(), raw.end()};
}

std::vector<float> read_voxels(gzFile file, std::int16_t type, std::size_t count, const std::string& path) {
  switch (type) {
    case 2:
      return read_values<std::uint8_t>(file, count, path);
    case 4:
      return read_values<std::int16_t>(file, count, path);
    case 512:
      return read_values<std::uint16_t>(file, count, path);
    case 16:
      return read_values<float>(file, count, path);
    default:
      throw std::runtime_error(path + ": NIfTI type " + std::to_string(type) + "; expected 8 or 16 bits, or float32");
  }
}

}  // namespace

Picture read_nifti(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error(path + ": cannot be opened");
  std::array<char, kHeaderBytes> header{};
  read_exactly(file.get(), header.data(), header.size(), path);
  if (at<std::int32_t>(header, 0) != 348 || std::memcmp(header.data() + 344, "n+1", 4) != 0) {
    throw std::runtime_error(path + ": not a little-endian NIfTI-1 file");
  }
  Picture picture{at<std::int16_t>(header, 46), at<std::int16_t>(header, 44), at<std::int16_t>(header, 42), 1, {}};
  const std::int64_t voxels = picture.depth * picture.height * picture.width;
  if (picture.depth < 1 || picture.height < 1 || picture.width < 1 || voxels > kMostVoxels) {
    throw std::runtime_error(path + ": a volume of an impossible size");
  }
  const float start = at<float>(header, 108);
  if (!(start >= 352 && start < 1e9F) || gzseek(file.get(), static_cast<z_off_t>(start), SEEK_SET) < 0) {
    throw std::runtime_error(path + ": its voxels begin nowhere");
  }
  std::vector<float> values =
      read_voxels(file.get(), at<std::int16_t>(header, 70), static_cast<std::size_t>(voxels), path);
  for (float& value : values) {
    if (!std::isfinite(value)) value = 0;
  }
  picture.pixels = stretched(values);  // a scale (scl_slope) changes nothing in it
  return picture;
}
