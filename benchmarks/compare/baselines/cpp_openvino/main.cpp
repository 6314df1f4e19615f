// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Baseline (d): LiteMedSAM as the challenge's C++ winners run their models (hieplpvip/medficientsam:cpp/src/main.cpp,
// automl/CVPR24-MedSAM-on-Laptop:cpp/src/main.cpp): OpenVINO f32, latency hint, one request, one box a decode, a cache
// of slice embeddings, OpenCV for resizing. Written for this comparison; leaner than theirs where that is simpler (no
// xtensor, one copy of an embedding instead of two).
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model.hpp"
#include "npz/case.hpp"
#include "npz/segs_file.hpp"
#include "pipeline.hpp"
#include "stages.hpp"

namespace medsam::baseline {
namespace {

constexpr char kUsage[] =
    "openvino_baseline -i CASES -o MASKS --model FOLDER [--cache-dir FOLDER] [--threads N] [--stages CASE]\n"
    "FOLDER holds encoder.xml and decoder.xml (benchmarks/compare/baselines/to_openvino.py).\n";

npz::Case read_u8(const std::string& path) {
  npz::Case content = npz::read_case(path).value();
  const bool planes = content.channels == (content.is_volume ? 1 : 3);
  if (content.pixel_type != PixelType::u8 || !planes) {
    throw std::invalid_argument(path + ": got imgs " + content.imgs.describe() + ", expected u8, RGB or a gray volume");
  }
  return content;
}

void run_folder(Model& model, const std::string& input, const std::string& output) {
  std::filesystem::create_directories(output);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(input)) {
    if (entry.path().extension() == ".npz") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    npz::write_segs((std::filesystem::path(output) / name).string(),
                    segment(model, read_u8((std::filesystem::path(input) / name).string())));
  }
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  const bool folder = options.count("-i") != 0 && options.count("-o") != 0;
  if (argc % 2 == 0 || options.count("--model") == 0 || (!folder && options.count("--stages") == 0)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const std::string threads = options["--threads"];
  Model model({options["--model"], options["--cache-dir"], threads.empty() ? 0 : std::stoi(threads)});
  if (options.count("--stages") != 0) {
    serve_stages(model, read_u8(options["--stages"]));
  } else {
    run_folder(model, options["-i"], options["-o"]);
  }
  return 0;
}

}  // namespace
}  // namespace medsam::baseline

int main(int argc, char** argv) {
  try {
    return medsam::baseline::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "openvino_baseline: %s\n", error.what());
    return 1;
  }
}
