// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What a Session holds. Every public call takes the lock and holds it until it returns.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bundle/profile.hpp"
#include "medsam/session.hpp"
#include "platform/process.hpp"
#include "session/answers.hpp"
#include "session/hypotheses.hpp"
#include "session/plane_embeddings.hpp"
#include "session/plane_image.hpp"
#include "session/state.hpp"

namespace medsam {

struct Session::Impl {
  Impl(std::shared_ptr<const Engine> with, const VolumeView& volume, SessionOptions given);

  /// Unsupported in a child process after fork.
  void check_process() const;

  /// Answers a prompt of a plane and makes it a step. `replaces`: the object's earlier prompts of the plane and its
  /// mask there make way.
  VoxelBox prompt(const std::string& name, session::SessionPrompt given, bool replaces,
                  const std::function<session::Answer(const session::Answering&)>& answer);
  /// The answer to a positive click or scribble where an object has nothing: the last preview's, if it was of this
  /// click.
  session::Answer first_answer(const session::Answering& with, const session::SessionPrompt& first);
  /// A click or a scribble.
  VoxelBox stroke(const std::string& name, session::SessionPrompt given);
  VoxelBox box_3d(const std::string& name, const Box3D& box, const VolumeOptions& volume_options);
  VoxelBox propagate(const std::string& name, const PropagateOptions& given);
  VoxelBox replace_mask(const std::string& name, session::SessionPrompt given, const session::Mask& mask);

  /// The object to be changed: a copy of the one of the name, or a new one. InvalidArgument: no name, or a locked one.
  [[nodiscard]] session::Object editable(const std::string& name) const;
  /// The object's voxels in a plane before its first correction there, for a prompt that is to be the record of it.
  [[nodiscard]] std::optional<session::Mask> uncorrected(const session::Object& object, const Plane& plane,
                                                         bool replaces) const;
  /// The object of the name. InvalidArgument: there is none.
  [[nodiscard]] session::ObjectPtr existing(const std::string& name) const;
  /// What the object of the name cannot have: the voxels of locked objects, but for those that it has already.
  [[nodiscard]] std::vector<session::Mask> kept_from(const std::string& name) const;
  /// Makes `object` part of a new step, without what is kept from it.
  VoxelBox commit(session::Object object);
  /// Makes `next` the present state. Returns where voxels changed.
  VoxelBox step(session::State next);

  mutable std::mutex mutex;
  mutable std::atomic<std::thread::id> caller;  // the thread whose call holds the lock
  std::shared_ptr<const Engine> engine;
  SessionOptions options;
  session::Pixels pixels;
  session::PlaneEmbeddings embeddings;
  session::PlaneModel model;
  SectionRules sections;
  session::History history;
  /// What a click follows that is made where the pointer rested. An answer depends on nothing else.
  struct Previewed {
    Plane plane;
    PlanePoint point;
    session::Answer answer;
  };
  std::optional<Previewed> previewed;
  platform::ProcessId process = platform::process_id();
  mutable session::EncodeAhead ahead;  // last: its thread uses what is above
};

}  // namespace medsam
