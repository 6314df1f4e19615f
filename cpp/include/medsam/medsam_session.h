// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/// \file
/// Sessions in the C API: one image or volume, any number of named objects, and the prompts with which a person draws
/// and corrects them. Include medsam/medsam.h, whose rules on errors, ownership, threads, callbacks and fork() hold
/// here, too. medsam/session.hpp documents what each call answers in full.
///
/// A call that changes something is one step of undo. It writes the bounding box of the voxels that it changed to
/// `changed`, which may be NULL. A call that fails leaves the session as it was.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "medsam/export.h"
#include "medsam/medsam_types.h"

// Names and typedefs are C's own here.
// NOLINTBEGIN(modernize-*,readability-identifier-naming)

/// A session. Every function may be called from many threads at once; calls on one session wait for one another. A
/// callback must not call the session whose call runs it.
typedef struct medsam_session medsam_session;

/// Voxels, in inclusive indices. Without any, the box is (0, 0, 0, -1, -1, -1).
typedef struct medsam_voxel_box {
  int64_t x0;  ///< First column.
  int64_t y0;  ///< First row.
  int64_t z0;  ///< First slice.
  int64_t x1;  ///< Last column.
  int64_t y1;  ///< Last row.
  int64_t z1;  ///< Last slice.
} medsam_voxel_box;

/// A plane of the volume: number `index` along `axis` of the array (0 = z, 1 = y, 2 = x). Coordinates in a plane are
/// the remaining axes, last first: (x, y) in a plane of axis 0, (x, z) of axis 1, (y, z) of axis 2. NULL stands for
/// plane 0 of axis 0, the only one of an image.
typedef struct medsam_plane {
  int32_t axis;      ///< 0, 1 or 2.
  int32_t reserved;  ///< 0.
  int64_t index;     ///< 0 to the size of that axis - 1.
} medsam_plane;

/// A position in a plane, in its coordinates; the center of pixel (i, j) is (i, j).
typedef struct medsam_plane_point {
  double x;  ///< First coordinate.
  double y;  ///< Second coordinate.
} medsam_plane_point;

/// Called on the calling thread with each plane that medsam_session_propagate is to write, those nearest to a key plane
/// first, and not for key planes: its index, and the object's mask there as the call leaves it, 1 inside and 0
/// elsewhere (MEDSAM_LABEL_U8), which is only to be read, until the callback returns. Return 0 to begin no further
/// plane: what it was called with stays. medsam/session.hpp (PropagateOptions::reached) says more.
typedef int32_t (*medsam_reached_callback)(void* context, int64_t index, const medsam_labels* mask);

/// Which ways an object is carried from its key planes.
enum {
  MEDSAM_PROPAGATE_BOTH = 0,  ///< Up and down.
  MEDSAM_PROPAGATE_UP = 1,    ///< To larger indices.
  MEDSAM_PROPAGATE_DOWN = 2   ///< To smaller indices.
};

/// The settings of a session.
typedef struct medsam_session_options {
  size_t size;               ///< Set by medsam_session_options_init.
  const char* modality;      ///< As medsam_encode_options.modality.
  double spacing_x;          ///< mm between columns, 1e-7 to 1e6; default 1.
  double spacing_y;          ///< mm between rows, 1e-7 to 1e6; default 1.
  double spacing_z;          ///< mm between slices, 1e-7 to 1e6; default 1.
  uint64_t embedding_bytes;  ///< Bytes for the embeddings of planes; default 512 MiB. One is always kept.
  uint64_t undo_bytes;       ///< Bytes that undo alone needs; default 128 MiB. The last step is always kept.
  int32_t encode_ahead;      ///< 1 (default) = encode planes on a thread of the session while no call runs.
  int32_t reserved;          ///< 0.
} medsam_session_options;

/// Options of medsam_session_propagate.
typedef struct medsam_propagate_options {
  size_t size;        ///< Set by medsam_propagate_options_init.
  int32_t axis;       ///< The axis along which the object is carried; default 0.
  int32_t direction;  ///< MEDSAM_PROPAGATE_*.
  /// The planes to which the object reaches, and beyond which nothing is written; each of them -1 (default) = as far as
  /// `distance` or, without one, 0.7 times the shorter side of the box in mm.
  int64_t first;
  int64_t last;                       ///< As `first`.
  double distance;                    ///< How far beyond the outermost key planes, mm; -1 (default) = as `first` says.
  double seconds;                     ///< After which no further plane is begun; -1 (default) = no limit.
  medsam_progress_callback progress;  ///< Called after each plane; NULL (default) = none.
  void* progress_context;             ///< Passed to `progress`.
  medsam_cancelled_callback cancelled;  ///< Called before each plane; NULL (default) = none.
  void* cancelled_context;              ///< Passed to `cancelled`.
  medsam_reached_callback reached;      ///< Called with each plane that was reached; NULL (default) = none.
  void* reached_context;                ///< Passed to `reached`.
} medsam_propagate_options;

/// Bytes of medsam_session_object.name.
enum { MEDSAM_SESSION_NAME_BYTES = 512 };

/// One object of a session.
typedef struct medsam_session_object {
  size_t size;                           ///< Set by medsam_session_object_init.
  int64_t voxels;                        ///< Voxels of its mask.
  int64_t prompts;                       ///< Prompts that the mask answers, of all planes.
  medsam_voxel_box box;                  ///< The bounding box of its mask.
  int32_t locked;                        ///< 1: other objects cannot take its voxels.
  int32_t reserved;                      ///< 0.
  char name[MEDSAM_SESSION_NAME_BYTES];  ///< As given, UTF-8, ends with a NUL.
} medsam_session_object;

/// How far the encoding of planes is, along the axis that is being encoded.
typedef struct medsam_encoding_progress {
  size_t size;       ///< Set by medsam_encoding_progress_init.
  int64_t encoded;   ///< Planes of the axis whose embeddings are held.
  int64_t total;     ///< Planes of the axis.
  int32_t idle;      ///< 1: nothing is being encoded.
  int32_t reserved;  ///< 0.
} medsam_encoding_progress;

// NOLINTEND(modernize-*,readability-identifier-naming)

/// \name Structs that begin with a size
/// As those of medsam.h.
/// @{

/// Fills a medsam_session_options with its defaults.
MEDSAM_API medsam_status medsam_session_options_init(medsam_session_options* options, size_t size);
/// Fills a medsam_propagate_options with its defaults.
MEDSAM_API medsam_status medsam_propagate_options_init(medsam_propagate_options* options, size_t size);
/// Fills a medsam_session_object with its defaults.
MEDSAM_API medsam_status medsam_session_object_init(medsam_session_object* object, size_t size);
/// Fills a medsam_encoding_progress with its defaults.
MEDSAM_API medsam_status medsam_encoding_progress_init(medsam_encoding_progress* progress, size_t size);
/// @}

/// Begins a session on a volume, or on an image: a volume of one slice. The pixels are copied, and the engine lives as
/// long as the session. `options` may be NULL. MEDSAM_INVALID_ARGUMENT (also for a modality that is unknown or
/// missing), MEDSAM_OUT_OF_MEMORY, MEDSAM_UNSUPPORTED (after fork).
MEDSAM_API medsam_status medsam_session_create(const medsam_engine* engine, const medsam_volume* volume,
                                               const medsam_session_options* options, medsam_session** session);
/// Destroys the session; NULL is ignored.
MEDSAM_API void medsam_session_destroy(medsam_session* session);

/// A box round the object in a plane, ends inclusive; replaces what the object had in the plane: its mask, and its
/// prompts there. `object` is its name, 1 to 500 bytes of printable UTF-8; a name that no object has makes a new one.
/// MEDSAM_INVALID_ARGUMENT (also for an object that is locked), and what medsam_encode and medsam_predict return.
MEDSAM_API medsam_status medsam_session_add_box(medsam_session* session, const char* object, const medsam_box* box,
                                                const medsam_plane* plane, medsam_voxel_box* changed);
/// A box round the whole object; replaces the object's mask and its prompts. Answered as medsam_segment_volume does;
/// `options` may be NULL, and its `iou` must be.
MEDSAM_API medsam_status medsam_session_add_box_3d(medsam_session* session, const char* object,
                                                   const medsam_box_3d* box, const medsam_volume_options* options,
                                                   medsam_voxel_box* changed);
/// A click: on the object (`positive` 1) or beside it (0). On a plane where the object has nothing, a positive click
/// finds the object; otherwise it corrects the mask near the click. MEDSAM_INVALID_ARGUMENT also for a negative click
/// where the object has nothing.
MEDSAM_API medsam_status medsam_session_add_click(medsam_session* session, const char* object,
                                                  const medsam_plane_point* point, int32_t positive,
                                                  const medsam_plane* plane, medsam_voxel_box* changed);
/// A line drawn on the object (`positive` 1) or beside it (0), through `count` points, at least one. As a click
/// otherwise.
MEDSAM_API medsam_status medsam_session_add_scribble(medsam_session* session, const char* object,
                                                     const medsam_plane_point* points, int64_t count, int32_t positive,
                                                     const medsam_plane* plane, medsam_voxel_box* changed);
/// A closed line round the object, of at least three points. The mask stays inside.
MEDSAM_API medsam_status medsam_session_add_lasso(medsam_session* session, const char* object,
                                                  const medsam_plane_point* points, int64_t count,
                                                  const medsam_plane* plane, medsam_voxel_box* changed);
/// The object's longest diameter in the plane (RECIST).
MEDSAM_API medsam_status medsam_session_add_line(medsam_session* session, const char* object,
                                                 const medsam_plane_point* from, const medsam_plane_point* to,
                                                 const medsam_plane* plane, medsam_voxel_box* changed);
/// A mask (D, H, W), nonzero where the object is, which is only read; replaces the object's mask and its prompts.
MEDSAM_API medsam_status medsam_session_add_mask(medsam_session* session, const char* object,
                                                 const medsam_label_volume* mask, medsam_voxel_box* changed);

/// Carries an object from its key planes (those with prompts, along an axis) to the planes between and beyond them.
/// `options` may be NULL. MEDSAM_INVALID_ARGUMENT (no key plane), MEDSAM_CANCELLED, and what medsam_session_add_box
/// returns.
MEDSAM_API medsam_status medsam_session_propagate(medsam_session* session, const char* object,
                                                  const medsam_propagate_options* options, medsam_voxel_box* changed);

/// Takes back the last step; an empty box where there is none.
MEDSAM_API medsam_status medsam_session_undo(medsam_session* session, medsam_voxel_box* changed);
/// Does the last step that was taken back again; an empty box where there is none.
MEDSAM_API medsam_status medsam_session_redo(medsam_session* session, medsam_voxel_box* changed);
/// Writes how often undo and redo have an effect; each may be NULL.
MEDSAM_API medsam_status medsam_session_get_steps(const medsam_session* session, int64_t* undo, int64_t* redo);

/// Removes an object, its mask and its prompts. MEDSAM_INVALID_ARGUMENT: there is none of the name.
MEDSAM_API medsam_status medsam_session_remove(medsam_session* session, const char* object, medsam_voxel_box* changed);
/// Removes all objects, in one step of undo.
MEDSAM_API medsam_status medsam_session_reset(medsam_session* session, medsam_voxel_box* changed);
/// Whether (1 or 0) others are kept from the object's voxels, and the object from its own prompts.
MEDSAM_API medsam_status medsam_session_lock(medsam_session* session, const char* object, int32_t locked);

/// Writes the number of objects.
MEDSAM_API medsam_status medsam_session_get_object_count(const medsam_session* session, int64_t* count);
/// Writes object number `index`, in the order in which they were made, into an `object` from
/// medsam_session_object_init. MEDSAM_INVALID_ARGUMENT: there are fewer, perhaps since another thread removed one.
MEDSAM_API medsam_status medsam_session_get_object(const medsam_session* session, int64_t index,
                                                   medsam_session_object* object);
/// Writes `label` where the object's mask is set, and 0 elsewhere. MEDSAM_INVALID_ARGUMENT: no such object, another
/// size, or a label that is 0 or does not fit.
MEDSAM_API medsam_status medsam_session_read_mask(const medsam_session* session, const char* object,
                                                  const medsam_label_volume* labels, uint32_t label);
/// As medsam_session_read_mask, the voxels of `box` alone: `labels` has its size, and its first label is that of voxel
/// (x0, y0, z0). MEDSAM_INVALID_ARGUMENT also for a box that is empty or not in the volume.
MEDSAM_API medsam_status medsam_session_read_mask_box(const medsam_session* session, const char* object,
                                                      const medsam_voxel_box* box, const medsam_label_volume* labels,
                                                      uint32_t label);
/// What a positive click of a new object would find, for a preview under the cursor: `*answered` becomes 1, and
/// `labels`, which have the plane's size, 1 where the object would be and 0 elsewhere. It changes nothing and waits for
/// nothing. While another call runs, and where the plane has not been encoded yet, `*answered` becomes 0, and `labels`
/// stay.
MEDSAM_API medsam_status medsam_session_preview_click(const medsam_session* session, const medsam_plane_point* point,
                                                      const medsam_plane* plane, const medsam_labels* labels,
                                                      int32_t* answered);
/// Likewise, what a box in a plane would find; of a small box of a 2D image, by the whole image alone where the profile
/// zooms.
MEDSAM_API medsam_status medsam_session_preview_box(const medsam_session* session, const medsam_box* box,
                                                    const medsam_plane* plane, const medsam_labels* labels,
                                                    int32_t* answered);
/// Writes k + 1 where the mask of object number k is set, and 0 elsewhere. Where several are, a locked object has the
/// voxel, and otherwise the profile decides.
MEDSAM_API medsam_status medsam_session_read_labels(const medsam_session* session, const medsam_label_volume* labels);

/// Writes how far encoding ahead is into a `progress` from medsam_encoding_progress_init.
MEDSAM_API medsam_status medsam_session_get_encoding(const medsam_session* session, medsam_encoding_progress* progress);

/// Writes the objects, their prompts and masks to a file (docs/session_file.md), whole or not at all. It holds no
/// pixels. MEDSAM_INVALID_ARGUMENT: the file cannot be written.
MEDSAM_API medsam_status medsam_session_save(const medsam_session* session, const char* path);
/// Replaces the objects by those of a file that medsam_session_save wrote for the same pixels and spacing.
/// MEDSAM_INVALID_ARGUMENT: no such file, a damaged one, or one of another image.
MEDSAM_API medsam_status medsam_session_load(medsam_session* session, const char* path, medsam_voxel_box* changed);
