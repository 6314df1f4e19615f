// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "arguments.hpp"

#include <charconv>
#include <utility>

namespace medsam::apps {

const char* const kHelp =
    "Usage: medsam-npz -i FOLDER -o FOLDER [options]\n"
    "\n"
    "Segments every case of a folder: NAME.npz with imgs and boxes in, NAME.npz with segs out.\n"
    "A finished case is skipped; a broken one is reported and the rest go on.\n"
    "\n"
    "  -i, --input FOLDER    cases, *.npz; 2DBox_* are images with boxes (N, 4), 3DBox_* volumes with boxes (N, 6)\n"
    "  -o, --output FOLDER   answers; made if absent\n"
    "  --bundle FOLDER       model; else $MEDSAM_ENGINE_BUNDLE, else the one that `medsam-engine fetch` installed\n"
    "  --profile NAME        rules of a published system; else clinical\n"
    "  --modality M          CT, MR, PET, US, XRay, ... of every case; else what its file name tells\n"
    "  --precision P         f32, bf16, f16, int8 or auto, as the bundle allows (default f32)\n"
    "  --trust-certificates  take the bundle's own word for the certificates that a precision needs\n"
    "  --device D            inference device (default CPU)\n"
    "  --threads N           inference threads; 0 = all cores (default)\n"
    "  --max-bytes N         most bytes that the imgs of a case may unpack to; else a quarter of the memory\n"
    "  --overwrite           do finished cases again\n"
    "  --csv FILE            write a table of times\n"
    "  --cache-dir FOLDER    compiled models; \"none\" = keep none; else the user's cache folder\n"
    "  --times               print how long each phase of the start took\n"
    "  -q, --quiet           print errors only\n"
    "  --version             print the version\n"
    "  -h, --help            print this\n"
    "\n"
    "Status: 0 all cases done, 1 some failed, 2 wrong usage or no model, 128 + signal when interrupted.\n";

namespace {

struct ValueOption {
  const char* name;
  std::string Arguments::*member;
};
struct Flag {
  const char* name;
  bool Arguments::*member;
};

constexpr ValueOption kValueOptions[] = {
    {"-i", &Arguments::input},
    {"--input", &Arguments::input},
    {"-o", &Arguments::output},
    {"--output", &Arguments::output},
    {"--bundle", &Arguments::bundle},
    {"--profile", &Arguments::profile},
    {"--device", &Arguments::device},
    {"--csv", &Arguments::csv},
    {"--precision", &Arguments::precision},
    {"--modality", &Arguments::modality},
    {"--cache-dir", &Arguments::cache_dir},
};
constexpr Flag kFlags[] = {
    {"--overwrite", &Arguments::overwrite},
    {"--quiet", &Arguments::quiet},
    {"-q", &Arguments::quiet},
    {"--trust-certificates", &Arguments::trust_certificates},
    {"--times", &Arguments::times},
    {"--help", &Arguments::help},
    {"-h", &Arguments::help},
    {"--version", &Arguments::version},
};

template <class T>
T parse_number(const std::string& name, const std::string& text, T least, const char* expected) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least) {
    throw UsageError(name + ": got \"" + text + "\", expected " + expected);
  }
  return value;
}

bool set_flag(Arguments& arguments, const std::string& name) {
  for (const Flag& flag : kFlags) {
    if (name != flag.name) continue;
    arguments.*flag.member = true;
    return true;
  }
  return false;
}

void set_value(Arguments& arguments, const std::string& name, const std::string& value) {
  if (name == "--threads") {
    arguments.threads = parse_number(name, value, 0, "a whole number, 0 for all cores");
    return;
  }
  if (name == "--max-bytes") {
    arguments.max_bytes = parse_number<std::uint64_t>(name, value, 1, "a whole number of bytes, 1 or more");
    return;
  }
  for (const ValueOption& option : kValueOptions) {
    if (name != option.name) continue;
    if (value.empty()) throw UsageError(name + ": got nothing, expected a value");
    arguments.*option.member = value;
  }
}

bool takes_value(const std::string& name) {
  for (const ValueOption& option : kValueOptions) {
    if (name == option.name) return true;
  }
  return name == "--threads" || name == "--max-bytes";
}

}  // namespace

Arguments parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (set_flag(arguments, word)) continue;
    const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string name = word.substr(0, equals);
    if (!takes_value(name)) throw UsageError("got \"" + word + "\", expected an option; see medsam-npz --help");
    if (equals == std::string::npos && i + 1 == words.size())
      throw UsageError(name + ": got nothing, expected a value");
    set_value(arguments, name, equals == std::string::npos ? words[++i] : word.substr(equals + 1));
  }
  if (arguments.help || arguments.version) return arguments;
  for (const auto& [name, value] : {std::pair{"-i", &arguments.input}, std::pair{"-o", &arguments.output}}) {
    if (value->empty()) throw UsageError(std::string(name) + ": got none, expected a folder; see medsam-npz --help");
  }
  return arguments;
}

}  // namespace medsam::apps
