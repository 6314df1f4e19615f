// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A volume's boxes to labels: through its slices, or in the planes along all three axes.
#include "engine/engine_impl.hpp"
#include "image/encoded_plane.hpp"
#include "medsam/error.hpp"
#include "volume/slice_boxes.hpp"
#include "volume/three_planes.hpp"
#include "volume/volume.hpp"

namespace medsam {

Profile Engine::Impl::profile_of(const std::string& name) const {
  return name.empty() || name == bundle.profile.name ? bundle.profile : builtin_profile(name);
}

std::vector<VolumeStats> Engine::Impl::segment_volume(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                                      const LabelVolumeView& out,
                                                      const VolumeOptions& volume_options) const {
  check_process();
  if (!boxes.empty()) check_prompt(PromptKinds::box, false, "boxes");
  check_volume(volume);
  check_label_volume(out, volume, boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    static_cast<void>(checked_box3d(boxes[i], volume.depth, volume.height, volume.width, static_cast<std::int64_t>(i)));
  }
  const Profile& rules = volume_options.profile.empty() ? profile : profile_of(volume_options.profile);
  const bool three = volume_options.planes == VolumePlanes::three;
  if (three) check_three_planes(volume, rules, volume_options);
  const Route route = route_of(volume_options.modality);
  const std::shared_ptr<Model> model = models_->get(route.expert);
  for (std::int64_t z = 0; z < out.depth; ++z) clear_labels(slice_of(out, z));
  const auto keep = [](bool again) {
    return again ? EmbeddingCache::Keep::evicting : EmbeddingCache::Keep::if_there_is_room;
  };
  if (three) {
    const EncodePlane encode_plane = [&](int axis, std::int64_t index, const EncodedSize& size, bool again) {
      const PlaneImage image = plane_image(volume, axis, index, size);
      return encode(image.view, route, keep(again));
    };
    return follow_in_three_planes(volume, boxes, rules, encode_plane, *model, out, volume_options);
  }
  const EncodeSlice encode_slice = [&](std::int64_t z, bool again) {
    return encode(slice_of(volume, z), route, keep(again));
  };
  return follow_objects(volume, boxes, rules, encode_slice, *model, out, volume_options);
}

}  // namespace medsam
