// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A native encoder's weights file: loading raises ModelError, in one line, or gives a model in proportion to the file,
// which runs within its memory. The input is a file, a header whose tensors this target appends, or the sizes of a
// network and changes to its header.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "finding.hpp"
#include "medsam/error.hpp"
#include "support/efficient_vit_file.hpp"
#include "support/tiny_bundle.hpp"
#include "support/tiny_vit_file.hpp"

namespace {

using medsam::fuzz::expect;
using Data = FuzzedDataProvider;

constexpr std::int64_t kMostFloats = 1 << 20;
// Its products are not optimized here (CMakeLists.txt).
constexpr std::size_t kMostToRun = 1 << 18;

/// Mostly a size that may be right.
std::int64_t dimension(Data& data) {
  switch (data.ConsumeIntegralInRange(0, 7)) {
    case 0:
      return data.ConsumeIntegral<std::int32_t>();
    case 1:
      return data.ConsumeIntegralInRange(-1, 70);
    default:
      return 32 * data.ConsumeIntegralInRange(1, 4);
  }
}

std::int64_t integer(Data& data) {
  return data.ConsumeBool() ? data.ConsumeIntegralInRange(-1, 33) : data.ConsumeIntegral<std::int64_t>();
}

medsam::testing::TinyVitSizes sizes(Data& data) {
  const auto channels = [&] { return 32 * data.ConsumeIntegralInRange<std::int64_t>(1, 3); };
  medsam::testing::TinyVitSizes sizes{};
  sizes.input = 32 * (data.ConsumeIntegralInRange(0, 15) == 0 ? data.ConsumeIntegralInRange(1, 2048) : 1);
  sizes.planes = channels();
  sizes.channels = channels();
  sizes.hidden = channels();
  sizes.merged = channels();
  sizes.stride = data.ConsumeIntegralInRange(1, 2);
  sizes.window = data.ConsumeIntegralInRange(1, data.ConsumeIntegralInRange(0, 7) == 0 ? 33 : 7);
  sizes.perceptron = channels();
  sizes.neck = channels();
  return sizes;
}

medsam::testing::EfficientVitSizes efficient_vit_sizes(Data& data) {
  const auto channels = [&] { return 32 * data.ConsumeIntegralInRange<std::int64_t>(1, 3); };
  medsam::testing::EfficientVitSizes sizes{};
  sizes.input = 2 * data.ConsumeIntegralInRange(1, data.ConsumeIntegralInRange(0, 15) == 0 ? 32768 : 32);
  sizes.stem = channels();
  sizes.fused = channels();
  sizes.hidden = channels();
  sizes.inverted = channels();
  sizes.attention = channels();
  sizes.taps = data.ConsumeBool() ? 25 : 9;
  sizes.neck = channels();
  sizes.output = channels();
  return sizes;
}

/// One change of one number, or of one tensor.
void change(Data& data, medsam::testing::TinyVitFile& file) {
  static const char* const kLists[] = {"input_size", "strides", "windows"};
  auto tensor = file.tensors.begin();
  if (tensor == file.tensors.end()) return;
  std::advance(tensor, data.ConsumeIntegralInRange<std::size_t>(0, file.tensors.size() - 1));
  switch (data.ConsumeIntegralInRange(0, 5)) {
    case 0: {
      auto& list = file.about[data.PickValueInArray(kLists)];
      if (list.is_array() && !list.empty())
        list[data.ConsumeIntegralInRange<std::size_t>(0, list.size() - 1)] = integer(data);
      break;
    }
    case 1:
      file.about[data.PickValueInArray(kLists)].push_back(integer(data));
      break;
    case 2:
      file.tensors.erase(tensor);
      break;
    case 3: {  // the same layer in another block or stage
      std::string name = tensor->first;
      for (char& c : name) {
        if (c >= '0' && c <= '9' && data.ConsumeBool()) c = static_cast<char>('0' + data.ConsumeIntegralInRange(0, 9));
      }
      file.tensors[name] = tensor->second;
      break;
    }
    default:
      if (!tensor->second.empty()) {
        tensor->second[data.ConsumeIntegralInRange<std::size_t>(0, tensor->second.size() - 1)] = dimension(data);
      }
  }
}

bool small(const medsam::testing::TinyVitFile& file) {
  std::int64_t floats = 0;
  for (const auto& [name, shape] : file.tensors) {
    std::int64_t count = 1;
    for (const std::int64_t d : shape) {
      if (d < 0 || d > kMostFloats) return false;
      count *= d;
      if (count > kMostFloats) return false;
    }
    floats += count;
  }
  return floats <= kMostFloats;
}

std::string file_bytes(Data& data) {
  switch (data.ConsumeIntegralInRange(0, 4)) {
    case 0:
      return data.ConsumeRemainingBytesAsString();
    case 1: {
      const auto floats = data.ConsumeIntegralInRange<std::size_t>(0, 1 << 16);
      return medsam::testing::safetensors(data.ConsumeRemainingBytesAsString(), floats);
    }
    default: {
      medsam::testing::TinyVitFile file = data.ConsumeBool()
                                              ? medsam::testing::tiny_vit_file(sizes(data))
                                              : medsam::testing::efficient_vit_file(efficient_vit_sizes(data));
      for (int i = data.ConsumeIntegralInRange(0, 6); i > 0; --i) change(data, file);
      return small(file) ? file.bytes() : "";
    }
  }
}

const std::string& path() {
  static const medsam::testing::TemporaryFolder temporary;
  static const std::string path = temporary.path("weights");
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Data source(data, size);
  // A run takes a hundred times as long as a load.
  const bool run = source.ConsumeIntegralInRange(0, 15) == 0;
  const std::string bytes = file_bytes(source);
  medsam::testing::write_file(path(), bytes);
  try {
    const medsam::testing::LoadedSize loaded = medsam::testing::loaded_size(path());
    expect(loaded.bytes <= medsam::testing::largest_model(bytes.size()));
    if (run && loaded.input_size <= 32 && loaded.bytes <= kMostToRun)
      static_cast<void>(medsam::testing::encode(path(), 1, 1));
  } catch (const medsam::ModelError& error) {
    expect(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
