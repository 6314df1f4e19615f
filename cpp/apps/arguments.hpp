// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The command line of medsam-npz.
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
