// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/session_file.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include "base/input_file.hpp"
#include "base/json_reader.hpp"
#include "base/memory_limit.hpp"
#include "base/sha256.hpp"
#include "base/whole_file.hpp"
#include "image/geometry.hpp"
#include "medsam/error.hpp"
#include "medsam/printable.hpp"
#include "volume/slice_boxes.hpp"

namespace medsam::session {

namespace {

constexpr std::int64_t kVersion = 1;
constexpr const char* kFormat = "medsam-session";
constexpr const char* kWhat = "session file";
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;                 // of a file
constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();  // the file's size is bounded

constexpr std::initializer_list<std::pair<const char*, PromptKind>> kKinds = {
    {"box", PromptKind::box},           {"box_3d", PromptKind::box_3d}, {"click", PromptKind::click},
    {"scribble", PromptKind::scribble}, {"lasso", PromptKind::lasso},   {"line", PromptKind::line},
    {"mask", PromptKind::mask}};

const char* name_of(PromptKind kind) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.second == kind; });
  return found->first;
}

/// The mask as runs in the order of the voxels: how many voxels lie between the run before and this one, how many are
/// in it.
Json mask_json(const Mask& mask, const Grid& grid) {
  Json runs = Json::array();
  std::int64_t end = 0;
  mask.for_each_run([&](std::int64_t z, std::int64_t y, std::int64_t x0, std::int64_t x1) {
    const std::int64_t row = (z * grid.height() + y) * grid.width();
    runs.push_back(row + x0 - end);
    runs.push_back(x1 - x0);
    end = row + x1;
  });
  return runs;
}

/// What is read, and how much memory the tables of its masks may still take: an empty mask of a deep volume is three
/// bytes of a file.
struct Reading {
  const Grid& grid;
  std::uint64_t table_bytes;
};

Mask mask_of(ObjectReader& reader, const char* field, Reading& reading) {
  const Grid& grid = reading.grid;
  const std::int64_t slice = grid.height() * grid.width(), all = slice * grid.depth();
  const std::vector<std::int64_t> runs = reader.integers(field, 0, all, kUnlimited);
  if (runs.size() % 2 != 0) reader.fail(field, std::to_string(runs.size()) + " numbers", "pairs");
  Mask mask(grid);
  if (mask.table_bytes() > reading.table_bytes) {
    throw OutOfMemory(std::string(kWhat) + ": got more masks than this machine has memory for; use one with more");
  }
  reading.table_bytes -= mask.table_bytes();
  if (runs.empty()) return mask;
  PlaneMask values(grid, 0);
  std::int64_t z = 0, at = 0;
  const auto finish_slice = [&] {
    mask.set_plane({0, z}, values);
    std::fill(values.values.begin(), values.values.end(), std::uint8_t{0});
  };
  for (std::size_t i = 0; i < runs.size(); i += 2) {
    if (runs[i] > all - at || runs[i + 1] > all - at - runs[i]) {
      reader.fail(field, "a run beyond voxel " + std::to_string(at), "at most " + std::to_string(all) + " voxels");
    }
    at += runs[i];
    for (std::int64_t left = runs[i + 1]; left > 0;) {
      if (at / slice != z) {
        finish_slice();
        z = at / slice;  // the slices between have no voxels
      }
      const std::int64_t first = at - z * slice, count = std::min(left, slice - first);
      std::fill_n(values.values.data() + first, count, std::uint8_t{1});
      at += count;
      left -= count;
    }
  }
  finish_slice();
  return mask;
}

Json prompt_json(const SessionPrompt& prompt, const Grid& grid) {
  Json json{{"kind", name_of(prompt.kind)}};
  if (prompt.kind == PromptKind::box_3d) {
    const Box3D& b = prompt.box;
    json["box"] = {b.x0, b.y0, b.z0, b.x1, b.y1, b.z1};
  }
  if (prompt.whole()) {
    json["answer"] = mask_json(*prompt.base, grid);
    return json;
  }
  json["axis"] = prompt.plane.axis;
  json["index"] = prompt.plane.index;
  json["positive"] = prompt.positive;
  Json points = Json::array();
  for (const PlanePoint& point : prompt.points) {
    points.push_back(point.x);
    points.push_back(point.y);
  }
  json["points"] = std::move(points);
  if (prompt.before) json["before"] = mask_json(*prompt.before, grid);
  if (const auto& b = prompt.answer_box) json["answer_box"] = {b->x0, b->y0, b->x1, b->y1};
  return json;
}

std::size_t least_points(PromptKind kind) {
  switch (kind) {
    case PromptKind::box:
    case PromptKind::line:
      return 2;
    case PromptKind::lasso:
      return 3;
    default:
      return 1;
  }
}

std::size_t most_points(PromptKind kind) {
  switch (kind) {
    case PromptKind::scribble:
    case PromptKind::lasso:
      return kMostPoints;
    default:
      return least_points(kind);
  }
}

Box3D box_3d_of(ObjectReader& reader, const Grid& grid) {
  const std::vector<double> v = reader.numbers("box");
  if (v.size() != 6) reader.fail("box", std::to_string(v.size()) + " numbers", "6");
  try {
    return checked_box3d({v[0], v[1], v[2], v[3], v[4], v[5]}, grid.depth(), grid.height(), grid.width(), 0);
  } catch (const InvalidArgument&) {
    reader.fail("box", numbers_text({v[0], v[1], v[2], v[3], v[4], v[5]}), "a box inside the volume");
  }
}

SessionPrompt prompt_of(ObjectReader reader, Reading& reading) {
  const Grid& grid = reading.grid;
  SessionPrompt prompt;
  prompt.kind = reader.choice("kind", kKinds);
  if (prompt.kind == PromptKind::box_3d) {
    prompt.box = box_3d_of(reader, grid);
  }
  if (prompt.whole()) {
    prompt.base = mask_of(reader, "answer", reading);
  } else {
    prompt.plane.axis = static_cast<int>(reader.integer("axis", 0, 2));
    prompt.plane.index = reader.integer("index", 0, grid.shape[prompt.plane.axis] - 1);
    prompt.positive = reader.boolean("positive");
    const std::vector<double> v = reader.numbers("points", kUnlimited);
    const std::size_t least = least_points(prompt.kind), most = most_points(prompt.kind);
    if (v.size() % 2 != 0 || v.size() / 2 < least || v.size() / 2 > most) {
      reader.fail("points", std::to_string(v.size()) + " numbers",
                  std::to_string(least) + " to " + std::to_string(most) + " pairs");
    }
    for (std::size_t i = 0; i < v.size(); i += 2) {
      prompt.points.push_back({v[i], v[i + 1]});
      check_point(grid, prompt.plane, prompt.points.back(), reader.where() + ".points");
    }
    check_drawn(grid, prompt.plane, prompt.points, reader.where() + ".points");
    if (prompt.kind == PromptKind::box) {
      static_cast<void>(checked_box({v[0], v[1], v[2], v[3]}, grid.rows(prompt.plane.axis),
                                    grid.columns(prompt.plane.axis), reader.where() + ".points"));
    }
    if (reader.has("before")) prompt.before = mask_of(reader, "before", reading);
    if (reader.has("answer_box")) {
      const std::vector<double> b = reader.numbers("answer_box");
      const bool sound = b.size() == 4 && b[0] >= 0 && b[1] >= 0 && b[0] <= b[2] && b[1] <= b[3] &&
                         b[2] < static_cast<double>(grid.columns(prompt.plane.axis)) &&
                         b[3] < static_cast<double>(grid.rows(prompt.plane.axis));
      if (!sound) reader.fail("answer_box", shown(reader.get("answer_box")), "x0, y0, x1, y1 inside the plane");
      prompt.answer_box = Box{b[0], b[1], b[2], b[3]};
    }
  }
  reader.finish();
  return prompt;
}

ObjectPtr object_of(ObjectReader reader, Reading& reading, std::set<std::string>& names) {
  Object object;
  object.name = reader.string("name");
  if (object.name.empty() || printable(object.name) != object.name || !names.insert(object.name).second) {
    reader.fail("name", "\"" + object.name + "\"", "a printable name that no other object has");
  }
  object.locked = reader.boolean("locked");
  const Json& prompts = reader.get("prompts");
  if (!prompts.is_array()) reader.fail("prompts", shown(prompts), "an array");
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string where = reader.where() + ".prompts[" + std::to_string(i) + "]";
    object.prompts.push_back(
        std::make_shared<const SessionPrompt>(prompt_of(ObjectReader(prompts[i], where), reading)));
  }
  const auto later = object.prompts.begin() + (object.prompts.empty() ? 0 : 1);
  if (std::any_of(later, object.prompts.end(), [](const PromptPtr& p) { return p->whole(); })) {
    reader.fail("prompts", "a prompt of the whole object behind another one", "it to be the first");
  }
  object.mask = mask_of(reader, "mask", reading);
  reader.finish();
  return finished(std::move(object));
}

State state_of(const Json& json, const Grid& grid, const std::string& pixels) {
  ObjectReader reader(json, kWhat);
  if (reader.string("format") != kFormat) reader.fail("format", "another one", kFormat);
  static_cast<void>(reader.integer("version", kVersion, kVersion));
  if (reader.string("pixels") != pixels) {
    throw InvalidArgument(std::string(kWhat) + ": got a session of another image, expected one of the pixels and the " +
                          "spacing at hand; open the image that it was saved for, with the same window");
  }
  const Json& objects = reader.get("objects");
  if (!objects.is_array() || objects.size() > kMostObjects) {
    reader.fail("objects", shown(objects), "an array of at most " + std::to_string(kMostObjects));
  }
  State state;
  Reading reading{grid, usable_memory() / 8};
  std::set<std::string> names;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    state.objects.push_back(object_of(
        ObjectReader(objects[i], std::string(kWhat) + ": objects[" + std::to_string(i) + "]"), reading, names));
  }
  reader.finish();
  return state;
}

[[noreturn]] void damaged(const std::string& why) {
  throw InvalidArgument(std::string(kWhat) + ": got a file that is " + why +
                        ", expected one that Session::save wrote; save the session again");
}

/// The system would read a path up to its NUL, which is another file.
void check_path(const std::string& path) {
  if (!path.empty() && path.find('\0') == std::string::npos) return;
  throw InvalidArgument(std::string(kWhat) + ": got the path \"" + printable(path, 500) +
                        "\", expected one of at least one byte, without NUL");
}

}  // namespace

std::string session_text(const State& state, const Grid& grid, const std::string& pixels) {
  Json objects = Json::array();
  for (const ObjectPtr& object : state.objects) {
    Json prompts = Json::array();
    for (const PromptPtr& prompt : object->prompts) prompts.push_back(prompt_json(*prompt, grid));
    objects.push_back({{"name", object->name},
                       {"locked", object->locked},
                       {"prompts", std::move(prompts)},
                       {"mask", mask_json(object->mask, grid)}});
  }
  const Json json{{"format", kFormat}, {"version", kVersion}, {"pixels", pixels}, {"objects", std::move(objects)}};
  const std::string line = json.dump();
  return line + "\n" + sha256_hex(line) + "\n";
}

State session_of(const std::string& text, const Grid& grid, const std::string& pixels) {
  const std::size_t end = text.find('\n');
  if (end == std::string::npos || !text.starts_with("{")) damaged("no session");
  const std::string line = text.substr(0, end);
  if (text.substr(end) != "\n" + sha256_hex(line) + "\n") damaged("damaged: its digest is not that of its content");
  try {
    return state_of(parse_json(line, kWhat), grid, pixels);
  } catch (const ModelError& e) {  // raised by the reader, whose remedies are for bundles
    const std::string fault = e.what();
    damaged("no session of this version (" + fault.substr(0, fault.rfind("; ")) + ")");
  }
}

void write_session(const std::string& path, const std::string& text) {
  check_path(path);
  if (text.size() > kMostBytes) {
    throw InvalidArgument(std::string(kWhat) + ": got a session of " + std::to_string(text.size()) +
                          " bytes, expected at most " + std::to_string(kMostBytes) +
                          ", which is what load() reads; save the masks as images, or fewer objects");
  }
  try {
    WholeFile file(path, FileUse::output);
    file.write(text);
    file.commit();
  } catch (const std::system_error& e) {
    throw InvalidArgument(std::string(kWhat) + ": cannot write " + printable(path, 500) + " (" + e.code().message() +
                          "); choose another folder, or free space");
  }
}

std::string read_session(const std::string& path) {
  check_path(path);
  const InputFile file(path, std::string(kWhat) + " " + printable(path, 500));
  // What is parsed takes some ten times as much.
  const std::uint64_t most = std::min(kMostBytes, usable_memory() / 16);
  if (file.size() > most) {
    throw InvalidArgument(std::string(kWhat) + ": got a file of " + std::to_string(file.size()) +
                          " bytes, expected at most " + std::to_string(most) +
                          (most < kMostBytes ? ", a sixteenth of this machine's memory; use one with more" : ""));
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

}  // namespace medsam::session
