// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Uses every public header as C++17 and segments a bright disc. Usage: consumer BUNDLE
#include <medsam/medsam.h>
#include <medsam/embedding.hpp>
#include <medsam/engine.hpp>
#include <medsam/error.hpp>
#include <medsam/folder.hpp>
#include <medsam/image.hpp>
#include <medsam/prompt.hpp>
#include <medsam/version.hpp>

#include <cstdint>
#include <iostream>
#include <vector>

static_assert(__cplusplus < 202002L, "the public headers are C++17; this project proves it");

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: consumer BUNDLE\n";
    return 2;
  }
  constexpr int height = 200, width = 300, radius = 40;
  std::vector<std::uint8_t> pixels(height * width, 40);
  std::int64_t disc = 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int dx = x - width / 2, dy = y - height / 2;
      if (dx * dx + dy * dy >= radius * radius) continue;
      pixels[y * width + x] = 200;
      ++disc;
    }
  }

  medsam::EngineOptions options;
  options.cache_dir = "none";
  const medsam::Engine engine(argv[1], options);
  const medsam::ImageView image{pixels.data(), medsam::PixelType::u8, height, width, 1, width};
  std::vector<std::uint16_t> labels(pixels.size());
  const medsam::LabelView out{labels.data(), medsam::LabelType::u16, height, width, 2 * width};
  const std::vector<medsam::MaskStats> stats = engine.segment(image, {medsam::Box{108, 58, 192, 142}}, out);
  std::cout << "medsam_engine " << medsam::version() << ": a disc of " << disc << " pixels, a mask of " << stats[0].area
            << "\n";
  if (stats[0].area < disc * 8 / 10 || stats[0].area > disc * 12 / 10) return 1;

  try {
    (void)engine.segment(image, {medsam::Box{192, 58, 108, 142}}, out);
  } catch (const medsam::InvalidArgument& error) {
    std::cout << "a reversed box is refused: " << error.what() << "\n";
    return 0;
  }
  std::cerr << "a reversed box was accepted\n";
  return 1;
}
