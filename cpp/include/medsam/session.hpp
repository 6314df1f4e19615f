// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A session: one image or volume, any number of named objects, and the prompts with which a person draws and corrects
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "medsam/engine.hpp"

namespace medsam {

/// Voxels, in inclusive indices. Without any, the box is (0, 0, 0, -1, -1, -1).
struct VoxelBox {
  std::int64_t x0 = 0;   ///< First column.
  std::int64_t y0 = 0;   ///< First row.
  std::int64_t z0 = 0;   ///< First slice.
  std::int64_t x1 = -1;  ///< Last column.
  std::int64_t y1 = -1;  ///< Last row.
  std::int64_t z1 = -1;  ///< Last slice.
  /// Whether there is no voxel in it.
  [[nodiscard]] bool empty() const noexcept { return x1 < x0 || y1 < y0 || z1 < z0; }
};

/// A plane of the volume: number `index` along `axis` of the array (0 = z, 1 = y, 2 = x). Coordinates in a plane are
/// the remaining axes, last first: (x, y) in a plane of axis 0, (x, z) of axis 1, (y, z) of axis 2; `x` of a Point or a
/// Box is the first of them and `y` the second.
struct Plane {
  int axis = 0;            ///< 0, 1 or 2.
  std::int64_t index = 0;  ///< 0 to the size of that axis - 1.
};

/// A position in a plane, in its coordinates; the center of pixel (i, j) is (i, j).
struct PlanePoint {
  double x = 0;  ///< First coordinate.
  double y = 0;  ///< Second coordinate.
};

/// The settings of a Session.
struct SessionOptions {
  double spacing_x = 1;  ///< mm between columns, 1e-7 to 1e6.
  double spacing_y = 1;  ///< mm between rows, likewise.
  double spacing_z = 1;  ///< mm between slices, likewise.
  /// The modality of the image, as EncodeOptions::modality.
  std::string modality;
  /// Bytes of memory for the embeddings of planes; the least recently used ones are dropped first. The engine's own
  /// cache (EngineOptions::cache_bytes) shares what both hold.
  std::uint64_t embedding_bytes = std::uint64_t{512} << 20;
  /// Bytes of masks and prompts that only undo needs; the oldest steps are forgotten first. The last step is always
  /// kept. What was taken back is kept until the next step.
  std::uint64_t undo_bytes = std::uint64_t{128} << 20;
  /// Encode planes on a thread of the session while no call runs: from the middle outward, then round the plane of the
  /// last prompt, along its axis.
  bool encode_ahead = true;
};

/// One object of a session.
struct SessionObject {
  std::string name;          ///< As given.
  bool locked = false;       ///< Other objects cannot take its voxels.
  std::int64_t voxels = 0;   ///< Voxels of its mask.
  VoxelBox box;              ///< The bounding box of its mask.
  std::int64_t prompts = 0;  ///< Prompts that the mask answers, of all planes.
};

/// Which ways an object is carried from its key planes.
enum class PropagateDirection : std::uint8_t {
  both,  ///< Up and down.
  up,    ///< To indices above the lowest key plane.
  down,  ///< To indices below the highest key plane.
};

/// Options of Session::propagate.
struct PropagateOptions {
  int axis = 0;                                             ///< The axis along which the object is carried.
  PropagateDirection direction = PropagateDirection::both;  ///< From the key planes.
  /// The planes to which the object reaches, and beyond which nothing is written; absent = as far as the distance or,
  /// without one, the size of the box lets one expect: 0.7 times its shorter side.
  std::optional<std::int64_t> first;
  std::optional<std::int64_t> last;  ///< As `first`.
  /// How far the object reaches beyond the outermost key planes, in mm. For an object that was begun with a prompt of
  /// the volume, it only limits what is written.
  std::optional<double> distance;
  /// Seconds after which no further plane is begun; what was reached stays. Absent = no limit. With it, the result
  /// depends on the machine's speed.
  std::optional<double> seconds;
  /// Called after each plane, on the calling thread. May throw; the session is unchanged then.
  std::function<void(const VolumeProgress&)> progress;
  /// Called with each plane that is to be written, on the calling thread, in the order in which they are reached (those
  /// nearest to a key plane first): its index, and the object's mask there as the call leaves it, 1 inside and 0
  /// elsewhere (LabelType::u8), borrowed until the callback returns. Not called for key planes. Where there are
  /// corrections, the first call comes when every plane with one was reached: what they change is known then. Return
  /// false to begin no further plane; what this was called with stays, as with `seconds`. May throw; the session is
  /// unchanged then. No session of the engine encodes ahead until the whole call has ended: be brief.
  std::function<bool(std::int64_t index, const LabelView& mask)> reached;
  /// Called before each plane, on the calling thread; return true to end the call with Cancelled, the session
  /// unchanged.
  std::function<bool()> cancelled;
};

/// How far the encoding of planes is, along the axis that is being encoded.
struct EncodingProgress {
  std::int64_t encoded = 0;  ///< Planes of the axis whose embeddings are held.
  std::int64_t total = 0;    ///< Planes of the axis.
  bool idle = true;          ///< Nothing is being encoded: all are held, the memory is full, or an encode failed.
};

/// What a person works on: one image or volume and its objects, each with a name, its prompts and its mask.
///
/// A prompt is answered by what the weights know (EngineInfo::trained_prompts). A click, a scribble or a lasso for
/// weights that know boxes only is answered by a search over boxes, and a click on an object that has a mask corrects
/// the mask near the click. An object is made by its first prompt; a session has at most 65535. A line may be at most 4
/// times as long as its plane has pixels. Where a call says "plane", a plane of any axis is
/// meant; planes whose pixels are not square are resampled for the encoder, masks never are.
///
/// Each call that changes something is one step of undo, and returns the bounding box of the voxels that it changed.
/// The same calls in the same order give the same masks, whatever was cached, encoded ahead or undone between. A call
/// that raises leaves the session as it was.
///
/// Threads: any thread may call any method at any time; calls wait for one another. Callbacks run on the calling
/// thread and must not call the session. After fork, every call raises Unsupported and the destructor does nothing.
///
/// Memory: the pixels (copied), one bit per voxel and object on the slices that an object touches, the embeddings and
/// the steps of undo.
class MEDSAM_ENGINE_EXPORT Session {
 public:
  /// `pixels` are what the model takes: u8 after a window (medsam/window.hpp), or any range (see Engine::encode). They
  /// are copied. An image is a volume of one slice. Raises InvalidArgument (also for a modality that is missing or
  /// unknown), OutOfMemory.
  Session(std::shared_ptr<const Engine> engine, const VolumeView& pixels, const SessionOptions& options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// A box round the object in a plane, ends inclusive as in Box; replaces what the object had in the plane: its mask,
  /// and its prompts there. Raises InvalidArgument, Unsupported, BackendError, OutOfMemory.
  VoxelBox add_box(const std::string& object, const Box& box, const Plane& plane = {});
  /// A box round the whole object; replaces the object's mask and its prompts. Answered as Engine::segment_volume does,
  /// with the session's spacing. Raises the same as that.
  VoxelBox add_box(const std::string& object, const Box3D& box, const VolumeOptions& options = {});
  /// A click: on the object (positive) or beside it. On a plane where the object has nothing, a positive click finds
  /// the object; otherwise it corrects the mask near the click. InvalidArgument also for a negative click where the
  /// object has nothing.
  VoxelBox add_click(const std::string& object, const PlanePoint& point, bool positive = true, const Plane& plane = {});
  /// A line drawn on the object (positive) or beside it, through at least one point. As a click otherwise.
  VoxelBox add_scribble(const std::string& object, const std::vector<PlanePoint>& line, bool positive = true,
                        const Plane& plane = {});
  /// A closed line round the object, of at least three points. The mask stays inside.
  VoxelBox add_lasso(const std::string& object, const std::vector<PlanePoint>& outline, const Plane& plane = {});
  /// The object's longest diameter in the plane (RECIST): answered by the box that the line spans.
  VoxelBox add_line(const std::string& object, const PlanePoint& from, const PlanePoint& to, const Plane& plane = {});
  /// A mask (D, H, W), nonzero where the object is; replaces the object's mask and its prompts. InvalidArgument:
  /// another size.
  VoxelBox add_mask(const std::string& object, const LabelVolumeView& mask);

  /// Carries an object from its key planes (those with prompts, along an axis) to the planes between and beyond them.
  /// Key planes stay as they are; other planes are made anew, so what was drawn in planes of another axis is lost
  /// there. An object that was begun in a plane is asked about in every plane that its boxes let one expect. An object
  /// that was begun with a prompt of the volume is not asked about again: corrections on its key planes change the
  /// planes near them. Raises InvalidArgument (no key plane), Cancelled, and what add_box raises.
  VoxelBox propagate(const std::string& object, const PropagateOptions& options = {});

  /// Takes back the last step; empty box where there is none.
  VoxelBox undo();
  /// Does the last step that was taken back again; empty box where there is none.
  VoxelBox redo();
  [[nodiscard]] std::int64_t undo_steps() const;  ///< How often undo() has an effect.
  [[nodiscard]] std::int64_t redo_steps() const;  ///< How often redo() has an effect.

  /// Removes an object, its mask and its prompts. InvalidArgument: there is none of the name.
  VoxelBox remove(const std::string& object);
  /// Removes all objects. One step of undo.
  VoxelBox reset();
  /// Whether other objects may take this one's voxels; locked, the object's own prompts are refused, too.
  /// InvalidArgument: there is none of the name.
  void lock(const std::string& object, bool locked = true);

  /// The objects, in the order in which they were made.
  [[nodiscard]] std::vector<SessionObject> objects() const;
  /// Writes `label` where the object's mask is set, and 0 elsewhere. InvalidArgument: no such object, another size, or
  /// a label that is 0 or does not fit.
  void mask(const std::string& object, const LabelVolumeView& out, std::uint32_t label = 1) const;
  /// As mask(), the voxels of `box` alone: `out` has its size, and its first voxel is (x0, y0, z0). InvalidArgument
  /// also for a box that is empty or not in the volume.
  void mask(const std::string& object, const VoxelBox& box, const LabelVolumeView& out, std::uint32_t label = 1) const;
  /// Writes k + 1 where the mask of objects()[k] is set, and 0 elsewhere. Where several are, a locked object has the
  /// voxel, and otherwise the profile decides (the smaller mask in `clinical`, the later object in the others).
  void labels(const LabelVolumeView& out) const;

  /// What add_click would find for a positive click of a new object, for a preview under the cursor: writes 1 where the
  /// object would be and 0 elsewhere to `out`, which has the plane's size. Changes nothing, and waits for nothing:
  /// false, and nothing written, while another call runs or where the plane has not been encoded yet. Raises
  /// InvalidArgument and BackendError. The last answer is kept (a mask of one plane), so that a click at the very point
  /// takes no time.
  bool preview_click(const PlanePoint& point, const Plane& plane, const LabelView& out) const;
  /// Likewise, what add_box would find in a plane; of a small box of a 2D image, by the whole image alone where the
  /// profile zooms (docs/profiles.md).
  bool preview_box(const Box& box, const Plane& plane, const LabelView& out) const;

  /// How far encoding ahead is.
  [[nodiscard]] EncodingProgress encoding() const;

  /// Writes the objects, their prompts and masks to a file (docs/session_file.md), not the image and not the steps of
  /// undo. The file appears whole or not at all. It holds no pixels. InvalidArgument: the file cannot be written.
  void save(const std::string& path) const;
  /// Replaces the objects by those of a file that save() wrote for the same pixels and spacing. One step of undo.
  /// InvalidArgument: no such file, a damaged one, or one of another image.
  VoxelBox load(const std::string& path);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace medsam
