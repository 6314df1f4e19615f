// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// medsam-trial BUNDLE DEVICE PRECISION THREADS: loads a bundle and runs each of its models once, to see whether the
// process lives. The library starts it (cpp/src/precision/trial.hpp); the answer is a line on the standard output.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "medsam/engine.hpp"
#include "platform/program.hpp"

namespace {

// Every kind of prompt that the model takes: a bundle may have a decoder for masks and another for the rest.
void prompt(const medsam::Engine& engine, const medsam::ImageEmbedding& embedding) {
  medsam::Prompt box;
  box.box = medsam::Box{0, 0, 1, 1};
  medsam::PredictOptions options;
  options.allow_untrained = true;  // nobody looks at the masks
  const medsam::Prediction first = engine.predict(embedding, {box}, options);
  const std::vector<std::int64_t>& shape = engine.info().mask_shape;
  const std::vector<float> drawn(static_cast<std::size_t>(shape[0] * shape[1]), 1.0f);
  if (!engine.info().accepts_mask) return;
  box.mask_input = engine.info().accepts_scribble ? drawn.data() : first.low_res_logits();
  static_cast<void>(engine.predict(embedding, {box}, options));
}

void load_and_run(const std::vector<std::string>& words) {
  medsam::EngineOptions options;
  options.device = words[1];
  options.precision = words[2];
  options.threads = static_cast<int>(std::strtol(words[3].c_str(), nullptr, 10));
  options.cache_dir = "none";
  options.allow_uncertified = true;
  options.profile = "";
  options.expert_limit = 1;
  const medsam::Engine engine(words[0], options);
  const std::uint8_t pixels[4] = {0, 80, 160, 240};
  std::vector<std::string> modalities = engine.info().modalities;
  if (!engine.info().needs_modality) modalities.emplace_back("");  // the fallback's expert
  for (const std::string& modality : modalities) {
    medsam::EncodeOptions encode;
    encode.modality = modality;
    prompt(engine, engine.encode({pixels, medsam::PixelType::u8, 2, 2, 1, 2}, encode));
  }
}

}  // namespace

int main(int count, char** given) {
  const std::vector<std::string> words = medsam::platform::program_words(count, given);
  if (words.size() != 4) {
    std::fputs("usage: medsam-trial BUNDLE DEVICE PRECISION THREADS\n", stderr);
    return 2;
  }
  medsam::platform::crash_quietly();  // it is expected
  const char* answer = "medsam-trial: ok\n";
  try {
    load_and_run(words);
  } catch (const std::exception&) {
    answer = "medsam-trial: refused\n";  // the caller will meet the same error
  }
  std::fputs(answer, stdout);
  std::fflush(stdout);
  return 0;
}
