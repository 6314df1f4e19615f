// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Images and volumes of all sizes through one engine's cache and store: in some runs all keys and digests collide, and
// files of the store are exchanged and changed. Oracle: labels equal those of an engine that keeps nothing (where keys
// collide, images of one size are of one content), and nothing is written beside them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "embedding/image_key.hpp"
#include "finding.hpp"
#include "medsam/engine.hpp"
#include "medsam/volume.hpp"
#include "support/tiny_bundle.hpp"

namespace {

namespace fs = std::filesystem;
using medsam::fuzz::expect;

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  [[nodiscard]] bool empty() const { return left_ == 0; }
  std::uint8_t next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

const medsam::testing::TemporaryFolder& temporary() {
  static const medsam::testing::TemporaryFolder folder;
  return folder;
}

medsam::Engine made(const std::string& store, std::uint64_t cache_bytes) {
  medsam::EngineOptions options;
  options.cache_dir = "none";
  options.profile = "";
  options.cache_bytes = cache_bytes;
  options.embedding_store = store;
  options.embedding_store_bytes = 1 << 16;  // a few entries, so that some are dropped
  static const std::string bundle = medsam::testing::copy_bundle("tiny_bundle", temporary().path("bundle"));
  return medsam::Engine(bundle, options);
}

const medsam::Engine& fresh() {
  static const medsam::Engine engine = made("", 0);
  return engine;
}

// A volume of one or more slices, its content given by its size and `seed`.
struct Scan {
  std::int64_t depth, height, width;
  medsam::PixelType type;
  std::vector<std::uint8_t> pixels;

  Scan(Bytes& bytes, bool collide)
      : depth(1 + bytes.next() % 3), height(1 + bytes.next() % 64), width(1 + bytes.next() % 64) {
    type = bytes.next() % 2 == 0 ? medsam::PixelType::u8 : medsam::PixelType::u16;
    const std::uint8_t seed = collide ? 0 : bytes.next();
    const auto slice = static_cast<std::size_t>(height * row());
    pixels.resize(static_cast<std::size_t>(depth) * slice);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const std::size_t at = collide ? i % slice : i;  // one size, one content
      pixels[i] = static_cast<std::uint8_t>(at * at * 31 + seed + (type == medsam::PixelType::u8 ? 0 : 3));
    }
    if (collide && type == medsam::PixelType::u16) {
      // Of the same values as the u8 image of this size, so that one embedding serves both.
      for (std::size_t i = 0; i < pixels.size() / 2; ++i) {
        const std::size_t at = i % (slice / 2);
        pixels[2 * i] = static_cast<std::uint8_t>(at * at * 31);
        pixels[2 * i + 1] = 0;
      }
    }
  }
  [[nodiscard]] std::int64_t row() const { return width * (type == medsam::PixelType::u8 ? 1 : 2); }
  [[nodiscard]] medsam::VolumeView view() const {
    return {pixels.data(), type, depth, height, width, 1, row(), row() * height};
  }
};

// The labels of a box that nearly fills the volume, in the middle of memory that must stay as it is.
std::vector<std::uint16_t> labels_of(const medsam::Engine& engine, const Scan& scan) {
  constexpr std::size_t kGuard = 4096;
  constexpr std::uint16_t kUntouched = 0xABCD;
  const auto size = static_cast<std::size_t>(scan.depth * scan.height * scan.width);
  std::vector<std::uint16_t> memory(size + 2 * kGuard, kUntouched);
  const medsam::LabelVolumeView out{
      memory.data() + kGuard, medsam::LabelType::u16,      scan.depth, scan.height, scan.width,
      scan.width * 2,         scan.height * scan.width * 2};
  const medsam::Box3D box{0,
                          0,
                          0,
                          static_cast<double>(scan.width - 1),
                          static_cast<double>(scan.height - 1),
                          static_cast<double>(scan.depth - 1)};
  engine.segment_volume(scan.view(), {box}, out, {});
  const auto untouched = [](std::uint16_t v) { return v == kUntouched; };
  const auto first = memory.begin() + kGuard, last = first + static_cast<std::ptrdiff_t>(size);
  expect(std::all_of(memory.begin(), first, untouched) && std::all_of(last, memory.end(), untouched));
  return {first, last};
}

// Copies an entry of the store over another, or changes a byte of one.
void meddle(const std::string& store, Bytes& bytes) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(store)) entries.push_back(entry.path());
  if (entries.empty()) return;
  std::sort(entries.begin(), entries.end());
  const fs::path& one = entries[bytes.next() % entries.size()];
  const fs::path& other = entries[bytes.next() % entries.size()];
  if (one != other) {
    fs::copy_file(one, other, fs::copy_options::overwrite_existing);
    return;
  }
  std::fstream file(one, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(bytes.next() * 8 % static_cast<std::streamoff>(fs::file_size(one)));
  file.put(static_cast<char>(bytes.next()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const bool collide = bytes.next() % 2 == 0;
  const std::string store = temporary().path("store");
  fs::remove_all(store);
  medsam::let_all_images_collide(collide);
  {
    const medsam::Engine engine = made(store, bytes.next() * 64);
    for (int round = 0; round < 8 && !bytes.empty(); ++round) {
      const Scan scan(bytes, collide);
      expect(labels_of(engine, scan) == labels_of(fresh(), scan));
      if (bytes.next() % 2 == 0) meddle(store, bytes);
    }
  }
  medsam::let_all_images_collide(false);
  return 0;
}
