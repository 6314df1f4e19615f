// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A session's file, its digests made right so that what lies behind them is reached: it is refused with
// InvalidArgument, or gives a session that is written as it was read and goes on being usable.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "finding.hpp"
#include "medsam/error.hpp"
#include "medsam/session.hpp"
#include "session/plane_image.hpp"
#include "session/session_file.hpp"
#include "support/tiny_bundle.hpp"

namespace {

using medsam::fuzz::expect;

constexpr std::int64_t kDepth = 4, kHeight = 9, kWidth = 13, kVoxels = kDepth * kHeight * kWidth;

const medsam::testing::TemporaryFolder& temporary() {
  static const medsam::testing::TemporaryFolder folder;
  return folder;
}

medsam::VolumeView volume() {
  static const std::vector<std::uint8_t> pixels(kVoxels, 50);
  return {pixels.data(), medsam::PixelType::u8, kDepth, kHeight, kWidth, 1, kWidth, kWidth * kHeight};
}

medsam::SessionOptions session_options() {
  medsam::SessionOptions options;
  options.encode_ahead = false;
  return options;
}

/// What follows a load: every object is propagated along every axis and clicked at.
void use(const std::string& text) {
  static const auto engine = [] {
    medsam::EngineOptions options;
    options.cache_dir = "none";
    options.profile = "";
    return std::make_shared<const medsam::Engine>(
        medsam::testing::copy_bundle("tiny_bundle", temporary().path("bundle")), options);
  }();
  const std::string path = temporary().path("session");
  medsam::testing::write_file(path, text);
  medsam::Session session(engine, volume(), session_options());
  session.load(path);
  const std::vector<medsam::SessionObject> objects = session.objects();
  for (std::size_t i = 0; i < std::min<std::size_t>(objects.size(), 4); ++i) {
    for (int axis = 0; axis < 3; ++axis) {
      try {
        medsam::PropagateOptions options;
        options.axis = axis;
        session.propagate(objects[i].name, options);
        session.add_click(objects[i].name, {1, 1}, true, {axis, 1});
      } catch (const medsam::InvalidArgument&) {
        continue;  // locked, or without a key plane
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace medsam::session;
  static const Pixels pixels(volume(), session_options());
  static const std::string digest = pixels.digest();
  const std::string raw(reinterpret_cast<const char*>(data), size);
  try {
    static_cast<void>(session_of(raw, pixels.grid(), digest));
  } catch (const medsam::InvalidArgument&) {  // its digest is not right, in all likelihood
  }
  // No mutation finds 64 hex digits: the seeds have a word in their place.
  std::string line = raw.substr(0, raw.find('\n'));
  if (const std::size_t at = line.find("PIXELS"); at != std::string::npos) line.replace(at, 6, digest);
  const std::string text = line + "\n" + medsam::sha256_hex(line) + "\n";
  try {
    const State state = session_of(text, pixels.grid(), digest);
    const std::string written = session_text(state, pixels.grid(), digest);
    expect(session_text(session_of(written, pixels.grid(), digest), pixels.grid(), digest) == written);
    for (const ObjectPtr& object : state.objects) expect(object->mask.voxels() <= kVoxels);
    use(text);
  } catch (const medsam::InvalidArgument&) {
    return 0;
  }
  return 0;
}
