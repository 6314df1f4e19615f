// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// medsam-trial BUNDLE DEVICE PRECISION THREADS CACHE_DIR: loads a bundle and encodes one image, to see whether the
// process lives. The library starts it (cpp/src/trial.hpp); the answer is a line on the standard output.
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "medsam/engine.hpp"

namespace {

void load_and_encode(char** words) {
  medsam::EngineOptions options;
  options.device = words[2];
  options.precision = words[3];
  options.threads = static_cast<int>(std::strtol(words[4], nullptr, 10));
  options.cache_dir = words[5];
  options.allow_uncertified = true;
  options.profile = "";
  const medsam::Engine engine(words[1], options);
  const std::uint8_t pixels[4] = {0, 80, 160, 240};
  medsam::EncodeOptions encode;
  if (!engine.info().modalities.empty()) encode.modality = engine.info().modalities.front();
  static_cast<void>(engine.encode({pixels, medsam::PixelType::u8, 2, 2, 1, 2}, encode));
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) {
    std::fputs("usage: medsam-trial BUNDLE DEVICE PRECISION THREADS CACHE_DIR\n", stderr);
    return 2;
  }
  const ::rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);  // a crash is expected: no core file
  const char* answer = "medsam-trial: ok\n";
  try {
    load_and_encode(words);
  } catch (const std::exception&) {
    answer = "medsam-trial: refused\n";  // the caller will meet the same error
  }
  std::fputs(answer, stdout);
  std::fflush(stdout);
  return 0;
}
