// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "model/model.hpp"

#include <future>

#include "medsam/error.hpp"
#include "model/crop.hpp"
#include "model/preprocess.hpp"
#include "platform/cores.hpp"

namespace medsam {

using backends::Shape;

ImageGeometry bundle_geometry(const Bundle& bundle, std::int64_t height, std::int64_t width) {
  return image_geometry(height, width, bundle.input_size, bundle.prompt.frame, bundle.profile.image->fit,
                        bundle.prompt.point_shift);
}

Model::Model(const Bundle& bundle, const std::string& name, std::string fingerprint, const Compile& compile)
    : bundle_(bundle),
      files_(bundle.models.at(name)),
      fingerprint_(std::move(fingerprint)),
      crops_(bundle.needs_crops()) {
  const Shape image{1, 3, bundle.input_size, bundle.input_size};
  auto compiling = std::async(platform::beside(), [&] { return compile(files_.at("encoder"), {image}); });
  decoder_ = std::make_unique<Decoder>(files_, bundle.prompt.from_box,
                                       [compile](const ModelFile& model) { return compile(model, {}); });
  encoder_ = std::make_unique<RequestPool>(compiling.get());
}

std::shared_ptr<detail::EmbeddingData> Model::encode(const CheckedImage& image) {
  auto data = std::make_shared<detail::EmbeddingData>();
  data->geometry = bundle_geometry(bundle_, image->height, image->width);
  if (crops_) data->pixels = keep_pixels(image);
  {
    const RequestPool::Lease request = encoder_->acquire();
    preprocess(image, data->geometry, *bundle_.profile.image, *request.get());
    data->outputs = request->run();
  }
  const std::vector<TensorSpec>& specs = files_.at("encoder").outputs;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    Shape shape = specs[i].shape;
    shape[0] = 1;
    if (data->outputs.size() != specs.size() || data->outputs[i]->shape() != shape) {
      throw ModelError("encoder: its output has another shape than the manifest says; export the bundle again");
    }
    if (!data->outputs[i]->finite()) {
      throw BackendError(
          "image encoder: got NaN or infinity in the embedding, expected finite values; use precision f32");
    }
  }
  data->fingerprint = fingerprint_;
  return data;
}

PromptContext Model::context(const detail::EmbeddingData& image, const PromptRules& rules) const {
  const std::ptrdiff_t drawn = files_.at("encoder").output_index("image_foreground");
  const float* foreground = drawn < 0 ? nullptr : image.outputs.at(static_cast<std::size_t>(drawn))->host();
  return {image.geometry, rules, bundle_.prompt, foreground, decoder_->low_height(), decoder_->low_width()};
}

}  // namespace medsam
