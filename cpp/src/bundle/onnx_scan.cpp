// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "bundle/onnx_scan.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "medsam/error.hpp"
#include "platform/path.hpp"

namespace medsam {

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw ModelError(path + ": " + why + "; export or fetch the bundle again");
}

// The messages of onnx.proto (onnx 1.23) on the way to a tensor, and the fields that lead on.
enum class Message : std::uint8_t {
  model,
  training,
  graph,
  function,
  node,
  attribute,
  sparse_tensor,
  tensor,
  entry,
};

struct Field {
  Message in;
  std::uint32_t number;
  Message holds;
};

constexpr std::array kFields = {
    Field{Message::model, 7, Message::graph},
    Field{Message::model, 20, Message::training},
    Field{Message::model, 25, Message::function},
    Field{Message::training, 1, Message::graph},
    Field{Message::training, 2, Message::graph},
    Field{Message::graph, 1, Message::node},
    Field{Message::graph, 5, Message::tensor},
    Field{Message::graph, 15, Message::sparse_tensor},
    Field{Message::function, 7, Message::node},
    Field{Message::function, 11, Message::attribute},
    Field{Message::node, 5, Message::attribute},
    Field{Message::attribute, 5, Message::tensor},
    Field{Message::attribute, 6, Message::graph},
    Field{Message::attribute, 10, Message::tensor},
    Field{Message::attribute, 11, Message::graph},
    Field{Message::attribute, 22, Message::sparse_tensor},
    Field{Message::attribute, 23, Message::sparse_tensor},
    Field{Message::sparse_tensor, 1, Message::tensor},
    Field{Message::sparse_tensor, 2, Message::tensor},
    Field{Message::tensor, 13, Message::entry},
};

constexpr int kMaxDepth = 100;  // protobuf's own limit

// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, FakeQuantize; QLinearConv, QGemm; MatMulInteger.
bool quantizes(std::string_view operation) {
  return operation.find("uantize") != std::string_view::npos || operation.find("Integer") != std::string_view::npos ||
         operation.starts_with('Q');
}

bool own_domain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

class Scanner {
 public:
  explicit Scanner(const std::string& path) : path_(path) {}

  // Visits a message, encoded as https://protobuf.dev/programming-guides/encoding says.
  void scan(std::string_view bytes, Message message, int depth) {
    if (depth > kMaxDepth) garbled();
    std::vector<std::string_view> keys, values;
    while (!bytes.empty()) {
      const std::uint64_t tag = varint(bytes);
      const std::string_view content = field(bytes, tag & 7);
      const std::uint64_t number = tag >> 3;
      if (number == 0 || number > 0x1fffffff) garbled();
      const auto lead = std::find_if(kFields.begin(), kFields.end(), [&](const Field& f) {
        return f.in == message && f.number == number && (tag & 7) == kLength;
      });
      if (lead != kFields.end()) scan(content, lead->holds, depth + 1);
      if (message == Message::entry && number == 1) keys.push_back(content);
      if (message == Message::entry && number == 2) values.push_back(content);
      if (message == Message::node && number == 4) found.quantized = found.quantized || quantizes(content);
      if (message == Message::node && number == 7) found.quantized = found.quantized || !own_domain(content);
    }
    // Where a field is there twice, the last counts for protobuf; here each does.
    if (std::find(keys.begin(), keys.end(), "location") != keys.end()) {
      found.locations.insert(found.locations.end(), values.begin(), values.end());
    }
  }

  OnnxScan found;

 private:
  static constexpr std::uint64_t kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5;

  [[noreturn]] void garbled() const { refuse(path_, "got bytes that are no protobuf message, expected an ONNX graph"); }

  std::uint64_t varint(std::string_view& bytes) const {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && !bytes.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (shift < 64) value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    garbled();
  }

  // Takes a field's content off `bytes`; that of a number is of no interest.
  std::string_view field(std::string_view& bytes, std::uint64_t wire_type) const {
    std::uint64_t size = 0;
    if (wire_type == kVarint) {
      static_cast<void>(varint(bytes));
    } else if (wire_type == kLength) {
      size = varint(bytes);
    } else if (wire_type == kFixed64 || wire_type == kFixed32) {
      size = wire_type == kFixed64 ? 8 : 4;
    } else {
      garbled();  // groups, which ONNX has none of
    }
    if (size > bytes.size()) garbled();
    const std::string_view content = bytes.substr(0, static_cast<std::size_t>(size));
    bytes.remove_prefix(content.size());
    return content;
  }

  const std::string& path_;
};

}  // namespace

OnnxScan scan_onnx(std::string_view graph, const std::string& path) {
  if (graph.empty()) refuse(path, "cannot be read, expected an ONNX graph");
  Scanner scanner(path);
  scanner.scan(graph, Message::model, 0);
  return std::move(scanner.found);
}

void check_external_data(const OnnxScan& scan, const ModelFile& model) {
  for (const std::string& location : scan.locations) {
    const bool listed = std::any_of(model.data.begin(), model.data.end(),
                                    [&](const DataFile& data) { return platform::file_name(data.path) == location; });
    if (listed) continue;
    refuse(model.path, "the graph keeps weights in \"" + location.substr(0, 80) +
                           "\", expected only files that the manifest lists");
  }
}

}  // namespace medsam
