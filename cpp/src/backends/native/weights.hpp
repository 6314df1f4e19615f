// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Weights in a safetensors file, as tools/medsam_engine_tools/export/native writes it (docs/bundle.md, "The fused
// models").
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace medsam::backends::native {

/// A file in memory, checked: every tensor is f32, inside the file, apart from the others, and what it is
/// asked to be.
class Weights {
 public:
  /// `bytes`: the file's, at an address for floats; they must outlive this. `path` is for messages. ModelError where
  /// they are not of this format.
  Weights(std::string path, std::string_view bytes);

  /// Row-major; valid while this lives. ModelError where there is no such tensor, or it has another shape or a value
  /// that is not finite.
  [[nodiscard]] const float* tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;
  /// ModelError where there is no such tensor.
  [[nodiscard]] const std::vector<std::int64_t>& shape(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  /// ModelError where a tensor was never asked for: a network that was read without it is not the file's.
  void check_all_read() const;
  /// Integers of the header, 1 to 65536 each. ModelError.
  [[nodiscard]] std::vector<std::int64_t> numbers(const std::string& name) const;
  /// A text of the header. ModelError.
  [[nodiscard]] std::string text(const std::string& name) const;
  /// Whether the header says anything of that name.
  [[nodiscard]] bool states(const std::string& name) const;
  [[nodiscard]] std::string architecture() const { return text("architecture"); }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Bytes of the file: what a network in memory must be in proportion to.
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  /// ModelError; `what` may quote the file.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  struct Entry {
    std::vector<std::int64_t> shape;
    const float* data;
    mutable bool read = false;  // weights are read by one thread
  };
  struct Header;
  [[nodiscard]] const Entry& entry(const std::string& name) const;

  std::string path_;
  std::string_view bytes_;
  std::shared_ptr<const Header> header_;  // what the file says about itself; never null
  std::map<std::string, Entry> tensors_;
};

}  // namespace medsam::backends::native
