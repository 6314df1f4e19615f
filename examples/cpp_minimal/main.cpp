// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One image, one box, one mask: the engine in C++17.
//   cpp_minimal BUNDLE IMAGE.pgm X0 Y0 X1 Y1 MASK.pgm
#include <medsam/engine.hpp>

#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Image {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

// An 8 bit PGM file (P5), without comments.
Image read_pgm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  Image image;
  int largest = 0;
  file >> magic >> image.width >> image.height >> largest;
  file.get();
  if (!file || magic != "P5" || largest != 255 || image.width < 1 || image.height < 1 || image.width > 65535 ||
      image.height > 65535) {
    throw std::runtime_error(path + ": not an 8 bit PGM file");
  }
  image.pixels.resize(static_cast<std::size_t>(image.width * image.height));
  file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
  if (!file) throw std::runtime_error(path + ": ends too early");
  return image;
}

void write_pgm(const std::string& path, const Image& image) {
  std::ofstream file(path, std::ios::binary);
  file << "P5\n" << image.width << ' ' << image.height << "\n255\n";
  file.write(reinterpret_cast<const char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

void run(char** argv) {
  const Image image = read_pgm(argv[2]);
  const medsam::Box box{std::stod(argv[3]), std::stod(argv[4]), std::stod(argv[5]), std::stod(argv[6])};

  // Loads the model: do it once, and share it between threads.
  medsam::EngineOptions options;
  options.log = [](medsam::LogLevel, const std::string& message) { std::cerr << message << "\n"; };
  const medsam::Engine engine(argv[1], options);

  // The expensive step. Whatever is asked about this image afterwards is quick.
  const medsam::ImageEmbedding embedding =
      engine.encode({image.pixels.data(), medsam::PixelType::u8, image.height, image.width, 1, image.width});

  medsam::Prompt prompt;
  prompt.box = box;
  const medsam::Prediction prediction = engine.predict(embedding, {prompt});

  Image mask{image.width, image.height, std::vector<std::uint8_t>(image.pixels.size())};
  const medsam::LabelView out{mask.pixels.data(), medsam::LabelType::u8, mask.height, mask.width, mask.width};
  const medsam::MaskStats stats = prediction.write_mask(0, 0, out, /*label=*/255);
  write_pgm(argv[7], mask);
  std::cout << engine.info().family << ": " << stats.area << " pixels, estimated IoU "
            << prediction.iou_predictions()[0] << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::cerr << "usage: cpp_minimal BUNDLE IMAGE.pgm X0 Y0 X1 Y1 MASK.pgm\n";
    return 2;
  }
  try {
    run(argv);
    return 0;
  } catch (const std::exception& error) {  // medsam::Error is one: what, got, expected, remedy
    std::cerr << "cpp_minimal: " << error.what() << "\n";
    return 1;
  }
}
