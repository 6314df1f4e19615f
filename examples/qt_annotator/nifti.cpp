// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// NIfTI-1, as nifti1.h of nifti.nimh.nih.gov defines it: a header of 348 bytes, then the voxels, x fastest.
#include "nifti.hpp"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "nifti_geometry.hpp"

namespace {

constexpr std::size_t kVoxelsFrom = 352;                     // the header and 4 bytes that say: no extension
constexpr std::int64_t kMostVoxels = std::int64_t{1} << 29;  // what a header may ask for

void read_exactly(gzFile file, void* out, std::size_t bytes) {
  auto* next = static_cast<char*>(out);
  while (bytes > 0) {
    const unsigned part = static_cast<unsigned>(std::min<std::size_t>(bytes, 1U << 30));
    const int read = gzread(file, next, part);
    if (read <= 0) throw std::runtime_error("ends too early");
    next += read;
    bytes -= static_cast<std::size_t>(read);
  }
}

template <class T>
std::vector<float> read_values(gzFile file, std::size_t count) {
  std::vector<T> raw(count);
  read_exactly(file, raw.data(), count * sizeof(T));
  return {raw.begin(), raw.end()};
}

std::vector<float> read_voxels(gzFile file, std::int16_t type, std::size_t count) {
  switch (type) {
    case 2:
      return read_values<std::uint8_t>(file, count);
    case 4:
      return read_values<std::int16_t>(file, count);
    case 512:
      return read_values<std::uint16_t>(file, count);
    case 16:
      return read_values<float>(file, count);
    default:
      throw std::runtime_error("NIfTI type " + std::to_string(type) + "; expected 8 or 16 bits, or float32");
  }
}

// A window of Hounsfield units needs the values that the scale stands for.
void scale(std::vector<float>& values, const NiftiHeader& header) {
  const float slope = header.at<float>(112), intercept = header.at<float>(116);
  const bool scaled = std::isfinite(slope) && std::isfinite(intercept) && slope != 0;
  for (float& value : values) {
    if (scaled) value = value * slope + intercept;
    if (!std::isfinite(value)) value = 0;
  }
}

Picture read_open(gzFile file, const Contrast& contrast) {
  NiftiHeader header;
  read_exactly(file, header.bytes.data(), header.bytes.size());
  if (header.at<std::int32_t>(0) != 348 || std::memcmp(header.bytes.data() + 344, "n+1", 4) != 0) {
    throw std::runtime_error("not a little-endian NIfTI-1 file");
  }
  Picture picture;
  picture.width = header.at<std::int16_t>(42);
  picture.height = header.at<std::int16_t>(44);
  picture.depth = header.at<std::int16_t>(40) < 3 ? 1 : header.at<std::int16_t>(46);
  if (picture.depth < 1 || picture.height < 1 || picture.width < 1 || picture.voxels() > kMostVoxels) {
    throw std::runtime_error("a volume of an impossible size");
  }
  place(picture, header);
  const float start = header.at<float>(108);
  if (!(start >= static_cast<float>(kVoxelsFrom) && start < 1e9F) ||
      gzseek(file, static_cast<z_off_t>(start), SEEK_SET) < 0) {
    throw std::runtime_error("its voxels begin nowhere");
  }
  std::vector<float> values =
      read_voxels(file, header.at<std::int16_t>(70), static_cast<std::size_t>(picture.voxels()));
  scale(values, header);
  picture.pixels = windowed(values, picture, contrast);
  picture.nifti_header.assign(header.bytes.begin(), header.bytes.end());
  return picture;
}

QByteArray gzip(const QByteArray& bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;  // the largest window, and gzip's frame
  if (deflateInit2(&stream, 6, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  QByteArray out(static_cast<qsizetype>(deflateBound(&stream, static_cast<uLong>(bytes.size()))), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // zlib only reads
  stream.avail_in = static_cast<uInt>(bytes.size());                           // kMostVoxels and a header fit
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(static_cast<qsizetype>(stream.total_out));
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("zlib could not compress the labels");
  return out;
}

// The header of the volume that was opened keeps the labels where the volume lies.
NiftiHeader label_header(const Picture& picture) {
  NiftiHeader header;
  if (picture.nifti_header.empty()) {
    for (int i = 0; i < 8; ++i) header.set(76 + 4 * static_cast<std::size_t>(i), 1.0F);
  } else {
    std::copy(picture.nifti_header.begin(), picture.nifti_header.end(), header.bytes.begin());
  }
  header.set(0, std::int32_t{348});
  const std::int64_t sizes[] = {3, picture.width, picture.height, picture.depth, 1, 1, 1, 1};
  for (std::size_t i = 0; i < 8; ++i) header.set(40 + 2 * i, static_cast<std::int16_t>(sizes[i]));
  header.set(68, std::int16_t{0});  // no intent
  header.set(70, std::int16_t{2});  // u8
  header.set(72, std::int16_t{8});
  header.set(108, static_cast<float>(kVoxelsFrom));
  header.set(112, 1.0F);  // scale
  header.set(116, 0.0F);
  header.set(124, 0.0F);  // the values that a viewer shows: all
  header.set(128, 0.0F);
  std::memcpy(header.bytes.data() + 344, "n+1", 4);
  return header;
}

}  // namespace

Picture read_nifti(const std::string& path, const Contrast& contrast) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error(path + ": cannot be opened");
  try {
    return read_open(file.get(), contrast);
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

QByteArray nifti_of(const std::vector<std::uint8_t>& labels, const Picture& picture, bool compressed) {
  const NiftiHeader header = label_header(picture);
  QByteArray bytes(header.bytes.data(), static_cast<qsizetype>(header.bytes.size()));
  bytes.append(4, '\0');
  bytes.append(reinterpret_cast<const char*>(labels.data()), static_cast<qsizetype>(labels.size()));
  return compressed ? gzip(bytes) : bytes;
}
