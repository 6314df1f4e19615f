// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A case: the bytes of a ZIP, or of two NPY arrays that are packed here so that a wrong CRC does not hide the parser of
// headers. Reading gives a case whose views lie inside its memory, or raises InvalidArgument or OutOfMemory.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>

#include "finding.hpp"
#include "image/views.hpp"
#include "medsam/error.hpp"
#include "npz/case.hpp"
#include "npz/segs_file.hpp"
#include "support/npz_maker.hpp"
#include "support/tiny_bundle.hpp"

namespace {

using medsam::fuzz::expect;

const std::string& folder() {
  static const medsam::testing::TemporaryFolder temporary;
  static const std::string path = temporary.path();
  return path;
}

/// 0: a ZIP; else how many bytes of the rest belong to imgs, in 256ths.
std::string packed(std::uint8_t how, const std::string& rest) {
  if (how == 0) return rest;
  const std::size_t split = rest.size() * how / 256;
  medsam::testing::ZipMaker zip;
  how % 2 == 0 ? zip.add("imgs.npy", rest.substr(0, split)) : zip.add_deflated("imgs.npy", rest.substr(0, split));
  return zip.add("boxes.npy", rest.substr(split)).bytes();
}

std::uint64_t sum_of(const medsam::ImageView& image) {
  std::uint64_t sum = 0;
  const auto* row = static_cast<const std::uint8_t*>(image.data);
  for (std::int64_t y = 0; y < image.height; ++y, row += image.row_stride) {
    sum = std::accumulate(row, row + image.row_stride, sum);
  }
  return sum;
}

void use(const std::string& path) {
  const auto c = medsam::npz::read_case(path);
  expect(c.has_value());
  expect(c->objects() == static_cast<std::int64_t>(c->is_volume ? c->boxes3d.size() : c->boxes.size()));
  std::uint64_t sum = 0;
  for (std::int64_t z = 0; z < c->depth; ++z) {
    sum += sum_of(c->is_volume ? medsam::slice_of(c->volume(), z) : c->image());
  }
  // What the sanitizer is to see read must not be optimized away.
  [[maybe_unused]] static volatile std::uint64_t sink;
  sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes = packed(data[0], std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  for (const char* name : {"case.npz", "2DBox_case.npz", "3DBox_case.npz"}) {
    const std::string path = folder() + "/" + name;
    medsam::testing::write_file(path, bytes);
    try {
      use(path);
    } catch (const medsam::InvalidArgument& error) {
      expect(!std::string(error.what()).empty());
    } catch (const medsam::OutOfMemory&) {
      continue;
    }
    static_cast<void>(medsam::npz::is_segs_file(path));
  }
  return 0;
}
