// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// In the place of libFuzzer, with any compiler: runs a fuzz target over every file of a folder, and over changed copies
// of each, which are the same in every run. `TARGET FOLDER CHANGED`: that many copies of each file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

// Makes one to eight changes: a byte is replaced, added or removed, or the end is cut off.
void change(Bytes& bytes, std::mt19937& random) {
  for (std::uint32_t left = 1 + random() % 8; left > 0; --left) {
    const auto place = static_cast<std::ptrdiff_t>(random() % (bytes.size() + 1));
    const auto value = static_cast<std::uint8_t>(random());
    switch (random() % 8) {
      case 0:
        bytes.resize(static_cast<std::size_t>(place));
        break;
      case 1:
        bytes.insert(bytes.begin() + place, value);
        break;
      case 2:
        if (place < std::ssize(bytes)) bytes.erase(bytes.begin() + place);
        break;
      default:
        if (place < std::ssize(bytes)) bytes[static_cast<std::size_t>(place)] = value;
    }
  }
}

// In memory of its own that is not a byte too long, so that AddressSanitizer sees what reads behind the end.
void run(const Bytes& bytes) {
  const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), data.get());
  LLVMFuzzerTestOneInput(data.get(), bytes.size());
}

std::size_t replay(const std::filesystem::path& folder, int changed) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    const Bytes bytes = read(path);
    for (int copy = 0; copy <= changed; ++copy) {
      // At once: what follows may end the process.
      std::cout << path.string() << ", copy " << copy << '\n' << std::flush;
      std::mt19937 random(static_cast<std::uint32_t>(copy));
      Bytes mine = bytes;
      if (copy > 0) change(mine, random);
      run(mine);
    }
  }
  return files.size();
}

}  // namespace

int main(int count, char** words) {
  try {
    if (count != 3) throw std::runtime_error("expected a folder and how many changed copies of each file are run");
    if (replay(words[1], std::stoi(words[2])) == 0) throw std::runtime_error(std::string("no file in ") + words[1]);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
