// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A DICOM series through ITK: segments what is in a 3D box, writes it as NIfTI in the series' own geometry.
//   itk_viewer BUNDLE SERIES_FOLDER X0,Y0,Z0,X1,Y1,Z1 LABELS.nii.gz [--window WIDTH,LEVEL] [--preview SLICE.png]
// The box is in voxels of the series as ITK reads it, its ends inclusive. Without a window (CT: 400,40 is abdomen) the
// whole range of values is used, as suits MR. Ctrl-C ends the run between two slices.
#include <itkGDCMImageIO.h>
#include <itkGDCMSeriesFileNames.h>
#include <itkImage.h>
#include <itkImageFileWriter.h>
#include <itkImageSeriesReader.h>
#include <itkNiftiImageIO.h>
#include <itkPNGImageIO.h>
#include <itkRGBPixel.h>
#include <medsam/engine.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Volume = itk::Image<float, 3>;
using Bytes = itk::Image<std::uint8_t, 3>;
using Rgb = itk::Image<itk::RGBPixel<std::uint8_t>, 2>;

volatile std::sig_atomic_t interrupted = 0;

struct Arguments {
  std::string bundle, series, labels, preview;
  medsam::Box3D box;
  double width = 0, level = 0;  // width 0: the whole range
};

std::vector<double> numbers(const std::string& text, std::size_t count) {
  std::vector<double> values;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) values.push_back(std::stod(word));
  if (values.size() != count) {
    throw std::runtime_error(text + ": expected " + std::to_string(count) + " numbers with commas between them");
  }
  return values;
}

Arguments parse(int argc, char** argv) {
  if (argc < 5 || argc % 2 == 0) {
    throw std::runtime_error(
        "usage: itk_viewer BUNDLE SERIES_FOLDER X0,Y0,Z0,X1,Y1,Z1 LABELS.nii.gz [--window WIDTH,LEVEL] "
        "[--preview SLICE.png]");
  }
  const std::vector<double> box = numbers(argv[3], 6);
  Arguments arguments{argv[1], argv[2], argv[4], "", {box[0], box[1], box[2], box[3], box[4], box[5]}};
  for (int i = 5; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--preview") {
      arguments.preview = argv[i + 1];
    } else if (name == "--window") {
      const std::vector<double> window = numbers(argv[i + 1], 2);
      if (!(window[0] > 0)) throw std::runtime_error("--window: expected a width above 0");
      arguments.width = window[0];
      arguments.level = window[1];
    } else {
      throw std::runtime_error(name + ": no such option");
    }
  }
  return arguments;
}

// The folder's one series, its slices in spatial order, its values rescaled (for CT: Hounsfield units).
Volume::Pointer read_series(const std::string& folder) {
  auto names = itk::GDCMSeriesFileNames::New();
  names->SetUseSeriesDetails(true);
  names->SetDirectory(folder);
  const auto& series = names->GetSeriesUIDs();
  if (series.size() != 1) {
    throw std::runtime_error(folder + ": got " + std::to_string(series.size()) + " DICOM series, expected one");
  }
  auto reader = itk::ImageSeriesReader<Volume>::New();
  reader->SetImageIO(itk::GDCMImageIO::New());
  reader->SetFileNames(names->GetFileNames(series.front()));
  reader->ForceOrthogonalDirectionOff();  // the direction as the files have it
  reader->Update();
  return reader->GetOutput();
}

// A volume of bytes in the same geometry.
Bytes::Pointer bytes_like(const Volume& volume) {
  auto bytes = Bytes::New();
  bytes->CopyInformation(&volume);
  bytes->SetRegions(volume.GetLargestPossibleRegion());
  bytes->Allocate(true);
  return bytes;
}

// The window's values clipped and stretched to 0..255, as the models were trained (medsam_engine.windows in Python).
Bytes::Pointer windowed(const Volume& volume, double width, double level) {
  const float* values = volume.GetBufferPointer();
  const auto count = volume.GetLargestPossibleRegion().GetNumberOfPixels();
  constexpr double kEverything = std::numeric_limits<double>::infinity();
  const double low = width > 0 ? level - width / 2 : -kEverything, high = width > 0 ? level + width / 2 : kEverything;
  const auto [least, most] = std::minmax_element(values, values + count);
  const double darkest = std::clamp<double>(*least, low, high), brightest = std::clamp<double>(*most, low, high);
  auto out = bytes_like(volume);
  if (!(brightest > darkest)) return out;
  std::transform(values, values + count, out->GetBufferPointer(), [&](float value) {
    const double clipped = std::clamp<double>(value, low, high);
    return static_cast<std::uint8_t>(std::nearbyint((clipped - darkest) / (brightest - darkest) * 255));
  });
  return out;
}

medsam::VolumeStats segment(const medsam::Engine& engine, const Bytes& pixels, const medsam::Box3D& box,
                            Bytes& labels) {
  const auto size = pixels.GetLargestPossibleRegion().GetSize();  // (x, y, z)
  const auto width = static_cast<std::int64_t>(size[0]), height = static_cast<std::int64_t>(size[1]);
  const auto depth = static_cast<std::int64_t>(size[2]);
  const medsam::VolumeView in{
      pixels.GetBufferPointer(), medsam::PixelType::u8, depth, height, width, 1, width, width * height};
  const medsam::LabelVolumeView out{
      labels.GetBufferPointer(), medsam::LabelType::u8, depth, height, width, width, width * height};
  medsam::VolumeOptions options;
  options.progress = [](const medsam::VolumeProgress& p) { std::cerr << '\r' << p.done << " / " << p.total << ' '; };
  options.cancelled = [] { return interrupted != 0; };
  const auto stats = engine.segment_volume(in, {box}, out, options);
  std::cerr << '\n';
  return stats.front();
}

template <class Image, class ImageIO>
void write(const Image* image, const std::string& path, typename ImageIO::Pointer io) {
  auto writer = itk::ImageFileWriter<Image>::New();
  writer->SetImageIO(io);
  writer->SetFileName(path);
  writer->SetInput(image);
  writer->UseCompressionOn();
  writer->Update();
}

// Slice z with the object's outline, and the box where it crosses the slice.
void write_preview(const Bytes& pixels, const Bytes& labels, const medsam::Box3D& box, itk::IndexValueType z,
                   const std::string& path) {
  const auto size = pixels.GetLargestPossibleRegion().GetSize();
  const auto width = static_cast<itk::IndexValueType>(size[0]), height = static_cast<itk::IndexValueType>(size[1]);
  auto slice = Rgb::New();
  slice->SetRegions(Rgb::SizeType{{size[0], size[1]}});
  slice->Allocate();
  const auto label = [&](itk::IndexValueType x, itk::IndexValueType y) {
    return x >= 0 && y >= 0 && x < width && y < height && labels.GetPixel({{x, y, z}}) != 0;
  };
  for (itk::IndexValueType y = 0; y < height; ++y) {
    for (itk::IndexValueType x = 0; x < width; ++x) {
      const bool edge = label(x, y) && !(label(x - 1, y) && label(x + 1, y) && label(x, y - 1) && label(x, y + 1));
      const bool inside = x >= box.x0 && x <= box.x1 && y >= box.y0 && y <= box.y1 && z >= box.z0 && z <= box.z1;
      const bool frame = inside && (x == box.x0 || x == box.x1 || y == box.y0 || y == box.y1);
      itk::RGBPixel<std::uint8_t> color;
      color.Fill(pixels.GetPixel({{x, y, z}}));
      if (frame) color.Set(255, 200, 0);
      if (edge) color.Set(0, 220, 255);
      slice->SetPixel({{x, y}}, color);
    }
  }
  write<Rgb, itk::PNGImageIO>(slice, path, itk::PNGImageIO::New());
}

void run(const Arguments& arguments) {
  const Volume::Pointer volume = read_series(arguments.series);
  const Bytes::Pointer pixels = windowed(*volume, arguments.width, arguments.level);
  const Bytes::Pointer labels = bytes_like(*volume);

  const medsam::Engine engine(arguments.bundle);
  const medsam::VolumeStats stats = segment(engine, *pixels, arguments.box, *labels);

  write<Bytes, itk::NiftiImageIO>(labels, arguments.labels, itk::NiftiImageIO::New());
  if (!arguments.preview.empty()) {
    const auto middle = static_cast<itk::IndexValueType>((arguments.box.z0 + arguments.box.z1) / 2);
    write_preview(*pixels, *labels, arguments.box, middle, arguments.preview);
  }
  const auto& spacing = volume->GetSpacing();
  const double millilitres = static_cast<double>(stats.voxels) * spacing[0] * spacing[1] * spacing[2] / 1000;
  std::cout << volume->GetLargestPossibleRegion().GetSize() << " voxels of " << spacing
            << " mm; the object: " << stats.voxels << " voxels, " << millilitres << " ml, slices " << stats.z0 << " to "
            << stats.z1 << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, [](int) { interrupted = 1; });
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {  // medsam::Error and itk::ExceptionObject are such
    std::cerr << "itk_viewer: " << error.what() << '\n';
    return 1;
  }
}
