// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Each kernel on every table this processor has, scalar oracle included, and C++ OpenCV's resize alone where OpenCV is
// installed (its part of the same work: no normalization, no statistics). Against OpenCV + NumPy: compare_numpy.py.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "kernels/pixels/pixel_kernels.hpp"
#ifdef MEDSAM_BENCH_OPENCV
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace mk = medsam::kernels;

namespace {

constexpr std::int64_t kSide = 256;
constexpr std::int64_t kSplineSide = 1024;  // MedSAM's, the one that uses it: the image is stretched to a square

struct Size {
  std::int64_t height, width;
};
constexpr Size kSizes[] = {{256, 256}, {512, 512}, {1024, 1024}, {1700, 2600}};

Size resized(Size size) {
  const double scale = static_cast<double>(kSide) / static_cast<double>(std::max(size.height, size.width));
  return {static_cast<std::int64_t>(static_cast<double>(size.height) * scale + 0.5),
          static_cast<std::int64_t>(static_cast<double>(size.width) * scale + 0.5)};
}

struct AlignedDelete {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using Scratch = std::unique_ptr<std::byte, AlignedDelete>;
Scratch make_scratch(std::size_t bytes) {
  return Scratch(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
}

std::vector<std::uint8_t> random_image(Size size, int channels) {
  std::vector<std::uint8_t> image(static_cast<std::size_t>(size.height * size.width * channels));
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same image every time
  for (auto& sample : image) sample = static_cast<std::uint8_t>(random());
  return image;
}

/// A disc in the middle of the crop, above zero inside.
std::vector<float> disc_logits(Size crop, float radius) {
  std::vector<float> logits;
  for (std::int64_t y = 0; y < kSide; ++y) {
    for (std::int64_t x = 0; x < kSide; ++x) {
      logits.push_back(radius - std::hypot(static_cast<float>(y) - static_cast<float>(crop.height) / 2.F,
                                           static_cast<float>(x) - static_cast<float>(crop.width) / 2.F));
    }
  }
  return logits;
}

void bench_pre(benchmark::State& state, const mk::KernelTable* table, Size size, int channels,
               mk::Interpolation interpolation) {
  const auto image = random_image(size, channels);
  const bool spline = interpolation == mk::Interpolation::spline;
  const Size small = spline ? Size{kSplineSide, kSplineSide} : resized(size);
  const std::int64_t side = spline ? kSplineSide : kSide;
  const mk::Pixels pixels{image.data(), mk::PixelType::u8, size.height, size.width, channels, size.width * channels};
  const mk::ResizeNormalizeParams params{small.height,           small.width, side, interpolation,
                                         mk::Normalize::min_max, 1e-8,        {},   {}};
  std::vector<float> out(static_cast<std::size_t>(3 * side * side));
  const Scratch scratch = make_scratch(table->resize_normalize_scratch(pixels, params));
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->resize_normalize(pixels, params, out.data(), scratch.get()));
    benchmark::ClobberMemory();
  }
}

void bench_post(benchmark::State& state, const mk::KernelTable* table, Size size, bool whole) {
  const Size crop = resized(size);
  const auto logits = disc_logits(crop, whole ? 1e4F : 0.18F * static_cast<float>(std::min(crop.height, crop.width)));
  std::vector<std::uint16_t> out(static_cast<std::size_t>(size.height * size.width));
  const mk::UpsampleThresholdParams params{
      logits.data(),  kSide, crop.height, crop.width, size.height, size.width, 0.F, out.data(), mk::LabelType::u16,
      size.width * 2, 1};
  const Scratch scratch = make_scratch(table->upsample_threshold_scratch(params));
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->upsample_threshold(params, scratch.get()));
    benchmark::ClobberMemory();
  }
}

// The keyed sums of a u8 image of three channels, as the embedding cache takes them.
void bench_sums(benchmark::State& state, const mk::KernelTable* table, Size size) {
  const auto image = random_image(size, 3);
  const mk::BlockSumKey key{};
  std::uint64_t sums[mk::kBlockSums];
  for (auto _ : state) {
    for (std::size_t at = 0; at + mk::kSumBlockBytes <= image.size(); at += mk::kSumBlockBytes) {
      table->block_sums(key, image.data() + at, sums);
      benchmark::DoNotOptimize(sums);
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * image.size()));
}

#ifdef MEDSAM_BENCH_OPENCV
void bench_opencv_resize(benchmark::State& state, Size size, int channels, int flag) {
  auto image = random_image(size, channels);
  const Size small = resized(size);
  cv::setNumThreads(1);
  const cv::Mat source(static_cast<int>(size.height), static_cast<int>(size.width), CV_MAKETYPE(CV_8U, channels),
                       image.data());
  cv::Mat out;
  for (auto _ : state) {
    cv::resize(source, out, cv::Size(static_cast<int>(small.width), static_cast<int>(small.height)), 0, 0, flag);
    benchmark::ClobberMemory();
  }
}
#endif

void register_all() {
  constexpr const char* kInterpolations[] = {"area", "linear", "cubic", "spline", "antialiased"};
  for (const Size size : kSizes) {
    const std::string where = "/" + std::to_string(size.width) + "x" + std::to_string(size.height);
    for (const int channels : {3, 1}) {
      for (int i = 0; i < 5; ++i) {
        const std::string name = "pre/" + std::string(kInterpolations[i]) + where + "x" + std::to_string(channels);
        for (const mk::KernelTable* table : mk::available_tables()) {
          benchmark::RegisterBenchmark((name + "/" + table->name).c_str(), bench_pre, table, size, channels,
                                       static_cast<mk::Interpolation>(i));
        }
#ifdef MEDSAM_BENCH_OPENCV
        constexpr int kFlags[] = {cv::INTER_AREA, cv::INTER_LINEAR, cv::INTER_CUBIC};
        if (i >= 3) continue;  // OpenCV has neither
        benchmark::RegisterBenchmark((name + "/OpenCV_resize_only").c_str(), bench_opencv_resize, size, channels,
                                     kFlags[i]);
#endif
      }
    }
    for (const mk::KernelTable* table : mk::available_tables()) {
      benchmark::RegisterBenchmark(("sums" + where + "/" + table->name).c_str(), bench_sums, table, size);
    }
    for (const bool whole : {false, true}) {
      for (const mk::KernelTable* table : mk::available_tables()) {
        const std::string name = "post/" + std::string(whole ? "whole" : "organ") + where + "/" + table->name;
        benchmark::RegisterBenchmark(name.c_str(), bench_post, table, size, whole);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
