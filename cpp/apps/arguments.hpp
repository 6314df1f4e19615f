// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The command line of medsam-npz.
//
// CLI11 2.1.2 (Debian 12) was tried on 2026-11-28 and is not used. It takes the next word as the value of "--csv=",
// so that an empty variable in a script turns "--csv=$FILE --overwrite" into a table named "--overwrite", and it
// reads "-i=in" as the folder "=in". A version that refuses "-i=in", reads numbers in base 10 and words its errors
// as this project does had 106 lines instead of 133, with "--csv=" still open; the object grew from 10 to 209 KB
// and its compilation from 0.6 to 6 s, and every build from source would need one more library.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace medsam::apps {

struct Arguments {
  std::string input, output;
  std::string bundle, profile = "clinical", device = "CPU", precision = "f32", csv, cache_dir, modality;
  int threads = 0;
  std::uint64_t max_bytes = 0;
  bool trust_certificates = false, overwrite = false, quiet = false, times = false;
  bool help = false, version = false;
};

/// A command line that is not understood; the message is one line.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Reads what follows the program's name: "--option VALUE", "--option=VALUE", "-o VALUE". UsageError for anything else.
Arguments parse_arguments(const std::vector<std::string>& words);

extern const char* const kHelp;

}  // namespace medsam::apps
