// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/json_reader.hpp"

#include <limits>

#include "medsam/error.hpp"
#include "medsam/printable.hpp"

namespace medsam {

namespace {

constexpr int kMaxDepth = 32;  // a manifest has 7

// Of any integer type of JSON, without wrapping.
bool lies_between(const Json& value, std::int64_t low, std::int64_t high) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return false;
  }
  const auto number = value.get<std::int64_t>();
  return number >= low && number <= high;
}

// Names end up in terminals, tables and file systems: none has a control character, and none is a text of its own.
constexpr std::size_t kLongestName = 500;
constexpr const char* kNameRule = "at most 500 bytes without control or invisible characters";

bool is_name(const std::string& text) { return text.size() <= kLongestName && printable(text) == text; }

// Follows a text without making values of it. The JSON library's own callback would do, were it not that it searches
// the parent at the end of each object: the time of the square of their number.
class DepthCheck final : public nlohmann::json_sax<Json> {
 public:
  // NOLINTBEGIN(readability-identifier-naming): the JSON library's names
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return descend(); }
  bool end_object() override { return ascend(); }
  bool start_array(std::size_t) override { return descend(); }
  bool end_array() override { return ascend(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }
  // NOLINTEND(readability-identifier-naming)
  [[nodiscard]] bool too_deep() const { return depth_ > kMaxDepth; }

 private:
  bool descend() { return ++depth_ <= kMaxDepth; }
  bool ascend() {
    --depth_;
    return true;
  }
  int depth_ = 0;
};

}  // namespace

std::string shown(const Json& json) {
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

Json parse_json(const std::string& text, const std::string& where) {
  // A value is shown in errors by a recursive function of the JSON library: thousands of brackets would end the stack.
  DepthCheck depth;
  const bool valid = Json::sax_parse(text, &depth);
  if (depth.too_deep()) {
    throw ModelError(where + ": got JSON nested deeper than " + std::to_string(kMaxDepth) +
                     " levels, expected a file of this version; export or fetch the bundle again");
  }
  Json json = valid ? Json::parse(text, nullptr, false) : Json(Json::value_t::discarded);
  if (json.is_discarded()) throw ModelError(where + ": not valid JSON; export or fetch the bundle again");
  return json;
}

ObjectReader::ObjectReader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json_.is_object()) throw ModelError(where_ + ": got " + shown(json_) + ", expected an object");
  for (const auto& [field, value] : json_.items()) {
    if (!is_name(field))
      throw ModelError(where_ + ": got a field \"" + field.substr(0, 60) + "\", expected " + kNameRule);
  }
}

bool ObjectReader::has(const char* field) const { return json_.contains(field); }

const Json& ObjectReader::get(const char* field) {
  known_.insert(field);
  const auto it = json_.find(field);
  if (it == json_.end()) {
    throw ModelError(where_ + ": field \"" + field +
                     "\" is missing; export the bundle again with this version's tools");
  }
  return *it;
}

std::string ObjectReader::string(const char* field) {
  const Json& value = get(field);
  if (!value.is_string()) fail(field, shown(value), "a string");
  auto text = value.get<std::string>();
  if (!is_name(text)) fail(field, shown(value), kNameRule);
  return text;
}

std::int64_t ObjectReader::integer(const char* field, std::int64_t low, std::int64_t high) {
  const Json& value = get(field);
  const std::string range = "an integer from " + std::to_string(low) + " to " + std::to_string(high);
  if (!lies_between(value, low, high)) fail(field, shown(value), range);
  return value.get<std::int64_t>();
}

double ObjectReader::number(const char* field) {
  const Json& value = get(field);
  if (!value.is_number()) fail(field, shown(value), "a number");
  return value.get<double>();
}

bool ObjectReader::boolean(const char* field) {
  const Json& value = get(field);
  if (!value.is_boolean()) fail(field, shown(value), "true or false");
  return value.get<bool>();
}

std::vector<std::int64_t> ObjectReader::integers(const char* field, std::int64_t low, std::int64_t high,
                                                 std::size_t most) {
  const Json& value = get(field);
  std::vector<std::int64_t> numbers;
  const std::string range = "a list of integers from " + std::to_string(low) + " to " + std::to_string(high);
  if (!value.is_array() || value.size() > most) fail(field, shown(value), range);
  for (const Json& item : value) {
    if (!lies_between(item, low, high)) fail(field, shown(value), range);
    numbers.push_back(item.get<std::int64_t>());
  }
  return numbers;
}

std::vector<double> ObjectReader::numbers(const char* field, std::size_t most) {
  const Json& value = get(field);
  std::vector<double> numbers;
  if (!value.is_array() || value.size() > most) fail(field, shown(value), "a list of numbers");
  for (const Json& item : value) {
    if (!item.is_number()) fail(field, shown(value), "a list of numbers");
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

ObjectReader ObjectReader::object(const char* field) { return {get(field), where_ + ": " + field}; }

void ObjectReader::finish() const {
  for (const auto& [field, value] : json_.items()) {
    if (known_.count(field) == 0) {
      throw ModelError(where_ + ": unknown field " + shown(field) +
                       "; this version does not understand it, use a newer medsam-engine");
    }
  }
}

void ObjectReader::fail(const char* field, const std::string& got, const std::string& expected) const {
  throw ModelError(where_ + ": field \"" + field + "\": got " + got + ", expected " + expected +
                   "; export the bundle again with this version's tools");
}

}  // namespace medsam
