// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The fixture of the folder runner's tests: a folder of cases over the fake backend.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "medsam/folder.hpp"
#include "npz/npy.hpp"
#include "npz/zip_reader.hpp"
#include "support/engine_test.hpp"
#include "support/fake_backend.hpp"
#include "support/npz_maker.hpp"

namespace medsam {

class FolderTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    std::filesystem::create_directories(folder_.path("in"));
    folder_options_.input = folder_.path("in");
    folder_options_.output = folder_.path("made/out");
    testing::fake_backend().fail_after = -1;
  }

  void add_case(const std::string& name, const std::string& bytes) {
    testing::write_file(folder_.path("in/" + name), bytes);
  }
  // A 48 x 64 image with boxes (N, 4).
  void add_image(const std::string& name, const std::vector<std::uint16_t>& boxes) {
    static_cast<void>(image());
    add_case(name, testing::case_bytes(
                       testing::npy("|u1", "(48, 64)", testing::raw(pixels_)),
                       testing::npy("<u2", "(" + std::to_string(boxes.size() / 4) + ", 4)", testing::raw(boxes))));
  }
  // A 4 x 16 x 20 volume with one box.
  void add_volume(const std::string& name) {
    add_case(name,
             testing::case_bytes(testing::npy("|u1", "(4, 16, 20)", std::string(1280, '\7')),
                                 testing::npy("<i8", "(1, 6)", testing::raw<std::int64_t>({2, 3, 0, 12, 10, 3}))));
  }
  std::string answer(const std::string& name) const { return folder_.path("made/out/" + name); }
  npz::NpyArray segs(const std::string& name) const {
    const npz::ZipReader zip(answer(name));
    return {zip.read(*zip.find("segs.npy"), 1 << 24), "segs"};
  }
  FolderReport run() { return run_folder(Engine(bundle_, options_), folder_options_); }
  std::size_t answers() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_.path("made/out")),
                                                  std::filesystem::directory_iterator()));
  }
  static std::string content(const std::string& path) {
    std::ostringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    return bytes.str();
  }
  std::string csv() const { return content(folder_options_.csv); }

  FolderOptions folder_options_;
};

}  // namespace medsam
