// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Strict reading of JSON objects: a missing, mistyped or unknown field is a ModelError that names it. Bundles are
// untrusted input, and a field that is silently ignored is a rule that is silently not applied.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace medsam {

using Json = nlohmann::json;

/// Parses `text` in time proportional to its length; ModelError naming `where` when it is not JSON, or deeper than 32
/// levels.
Json parse_json(const std::string& text, const std::string& where);

/// A value as an error shows it: JSON on one line, in ASCII, cut off where it is long.
std::string shown(const Json& json);

/// How many entries a list has at most unless its reader says otherwise: more than any of a bundle's.
inline constexpr std::size_t kShortList = 8;

/// Reads the fields of one object. Call finish() last: it rejects fields that nobody asked for.
class ObjectReader {
 public:
  /// `where` names the object in messages, e.g. "manifest.json: image". The fields' names are held to what string() is.
  ObjectReader(const Json& json, std::string where);

  [[nodiscard]] bool has(const char* field) const;
  const Json& get(const char* field);
  /// A name: ModelError where it is longer than 500 bytes, or has control, invisible or reordering characters.
  std::string string(const char* field);
  std::int64_t integer(const char* field, std::int64_t low, std::int64_t high);
  double number(const char* field);
  bool boolean(const char* field);
  /// At most `most` of them.
  std::vector<std::int64_t> integers(const char* field, std::int64_t low, std::int64_t high,
                                     std::size_t most = kShortList);
  std::vector<double> numbers(const char* field, std::size_t most = kShortList);
  /// A child object.
  ObjectReader object(const char* field);
  /// Marks a field as known without reading it.
  void skip(const char* field) { known_.insert(field); }

  /// The value of an enumeration, by its name in JSON.
  template <class E>
  E choice(const char* field, std::initializer_list<std::pair<const char*, E>> names) {
    const std::string value = string(field);
    std::string expected;
    for (const auto& [name, e] : names) {
      if (value == name) return e;
      expected += expected.empty() ? name : std::string(" | ") + name;
    }
    fail(field, "\"" + value + "\"", expected);
  }

  void finish() const;
  [[nodiscard]] const std::string& where() const { return where_; }
  [[noreturn]] void fail(const char* field, const std::string& got, const std::string& expected) const;

 private:
  const Json& json_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace medsam
