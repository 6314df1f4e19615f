// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/// \file
/// The plain data of the C API: views, prompts, options, answers. Include medsam/medsam.h.
///
/// There are two kinds of structs. Structs without a `size` never change. Structs that begin with `size` may gain
/// fields at their end: before anything else, initialize them with their init function, which also sets every default.
/// A library that is newer than the header uses the defaults for fields that the header lacks; an older library refuses
/// the struct.
///
/// Strings are UTF-8 and end with a NUL; NULL stands for the default. Flags are 0 or 1. Everything that is passed to a
/// call is borrowed for that call, and copied if it is needed longer.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Names and typedefs are C's own here.
// NOLINTBEGIN(modernize-*,readability-identifier-naming)

/// The result of every function that can fail: MEDSAM_OK or the number of a kind of error. The numbers are stable
/// across versions and equal medsam::ErrorCode in C++ and Error.code in Python. medsam_last_error() returns the
/// message.
typedef int32_t medsam_status;
/// The values of medsam_status.
enum {
  MEDSAM_OK = 0,                ///< Done.
  MEDSAM_INVALID_ARGUMENT = 1,  ///< An input is outside its documented range.
  MEDSAM_MODEL_ERROR = 2,       ///< The bundle is missing, corrupt or unknown; an embedding of another model.
  MEDSAM_BACKEND_ERROR = 3,     ///< The inference library failed; the message contains its text.
  MEDSAM_OUT_OF_MEMORY = 4,     ///< An allocation failed.
  MEDSAM_UNSUPPORTED = 5,       ///< Valid, but not possible here: a device, a precision, a kind of prompt.
  MEDSAM_CANCELLED = 6          ///< The caller's `cancelled` callback requested it.
};

/// Type of a sample of an image.
enum {
  MEDSAM_PIXEL_U8 = 0,   ///< uint8_t
  MEDSAM_PIXEL_U16 = 1,  ///< uint16_t
  MEDSAM_PIXEL_I16 = 2,  ///< int16_t
  MEDSAM_PIXEL_F32 = 3   ///< float, finite
};
/// Type of a label of a label map.
enum {
  MEDSAM_LABEL_U8 = 0,   ///< uint8_t
  MEDSAM_LABEL_U16 = 1,  ///< uint16_t
  MEDSAM_LABEL_U32 = 2   ///< uint32_t
};
/// How embeddings are stored.
enum {
  MEDSAM_EMBEDDING_F32 = 0,  ///< As the encoder computes them.
  MEDSAM_EMBEDDING_F16 = 1   ///< Rounded to half precision once: half the memory.
};
/// The kinds of messages.
enum {
  MEDSAM_LOG_INFO = 0,    ///< Information, such as the progress of compiling for a GPU.
  MEDSAM_LOG_WARNING = 1  ///< Something requested is not possible; the engine continues.
};

/// The kinds of input that a prompt can have; a combination is their bitwise or.
enum {
  MEDSAM_PROMPT_BOX = 1,      ///< A box.
  MEDSAM_PROMPT_POINTS = 2,   ///< Points of label 1 or 0.
  MEDSAM_PROMPT_MASK = 4,     ///< Logits of an earlier prediction.
  MEDSAM_PROMPT_SCRIBBLE = 8  ///< Strokes.
};

/// Receives a message of one line, which is valid during the call. It may be called on several threads at once: on
/// those that call the engine and on those that compile models for it. `context` is the pointer that was given beside
/// the callback. Like every callback, it must return; longjmp is not allowed. A C++ exception is dropped.
typedef void (*medsam_log_callback)(void* context, int32_t level, const char* message);
/// Called on the calling thread between units of work; return a nonzero value to end the call with MEDSAM_CANCELLED.
typedef int32_t (*medsam_cancelled_callback)(void* context);
/// Called on the calling thread after each of `total` steps with the number of finished steps.
typedef void (*medsam_progress_callback)(void* context, int64_t done, int64_t total);

/// A loaded model. Every function that takes a const engine may be called from many threads at once.
typedef struct medsam_engine medsam_engine;
/// One encoded image. Immutable; may be used from many threads, and may outlive its engine.
typedef struct medsam_embedding medsam_embedding;
/// The answer to prompts on one image. Immutable; may be used from many threads, and may outlive its engine and
/// embedding.
typedef struct medsam_prediction medsam_prediction;

/// A borrowed image, rows top to bottom, channels interleaved: the sample of channel c at column x of row y is at
/// `data + y * row_stride + (x * channels + c) * size of type` (bytes). Must not change during the call.
typedef struct medsam_image {
  const void* data;    ///< First sample of the top row, aligned to its type.
  int32_t pixel_type;  ///< MEDSAM_PIXEL_*. f32 must be finite.
  int32_t channels;    ///< 1 (gray) or 3 (RGB).
  int64_t height;      ///< Rows, >= 1.
  int64_t width;       ///< Columns, >= 1.
  int64_t row_stride;  ///< Bytes from one row to the next; negative for an image stored bottom-up.
} medsam_image;

/// A borrowed, writable label map (H, W): 0 is background, k is the k-th object, counted from 1. The engine writes only
/// inside the map.
typedef struct medsam_labels {
  void* data;          ///< First label of the top row, aligned to its type.
  int32_t label_type;  ///< MEDSAM_LABEL_*; the largest label must fit.
  int32_t reserved;    ///< 0.
  int64_t height;      ///< Rows.
  int64_t width;       ///< Columns.
  int64_t row_stride;  ///< Bytes from one row to the next.
} medsam_labels;

/// A borrowed volume (D, H, W): slice z is a medsam_image that begins at `data + z * slice_stride` (bytes).
typedef struct medsam_volume {
  const void* data;      ///< First sample of slice 0, aligned to its type.
  int32_t pixel_type;    ///< MEDSAM_PIXEL_*.
  int32_t channels;      ///< 1 (gray) or 3 (RGB).
  int64_t depth;         ///< Slices, D >= 1.
  int64_t height;        ///< Rows, H >= 1.
  int64_t width;         ///< Columns, W >= 1.
  int64_t row_stride;    ///< Bytes from one row to the next.
  int64_t slice_stride;  ///< Bytes from one slice to the next; negative for a volume stored top down.
} medsam_volume;

/// A borrowed, writable label volume (D, H, W), each slice laid out as medsam_labels.
typedef struct medsam_label_volume {
  void* data;            ///< First label of slice 0, aligned to its type.
  int32_t label_type;    ///< MEDSAM_LABEL_*.
  int32_t reserved;      ///< 0.
  int64_t depth;         ///< Slices, D.
  int64_t height;        ///< Rows, H.
  int64_t width;         ///< Columns, W.
  int64_t row_stride;    ///< Bytes from one row to the next.
  int64_t slice_stride;  ///< Bytes from one slice to the next; slices must not overlap.
} medsam_label_volume;

/// A click in pixels of the original image; x grows to the right, y grows downward, and pixel (0, 0) is at the top
/// left.
typedef struct medsam_point {
  double x;          ///< Column, 0 <= x < W.
  double y;          ///< Row, 0 <= y < H.
  int32_t label;     ///< 1 = on the object, 0 = beside it, -1 = not a point (no effect).
  int32_t reserved;  ///< 0.
} medsam_point;

/// A box in pixels of the original image. Its ends are INCLUSIVE; an end equal to the image's size is clamped to the
/// last index. A box that is reversed, not finite or further outside is MEDSAM_INVALID_ARGUMENT.
typedef struct medsam_box {
  double x0;  ///< First column.
  double y0;  ///< First row.
  double x1;  ///< Last column.
  double y1;  ///< Last row.
} medsam_box;

/// A box in voxel indices with INCLUSIVE ends, checked as medsam_box; z0 and z1 must be whole numbers.
typedef struct medsam_box_3d {
  double x0;  ///< First column.
  double y0;  ///< First row.
  double z0;  ///< First slice.
  double x1;  ///< Last column.
  double y1;  ///< Last row.
  double z1;  ///< Last slice.
} medsam_box_3d;

/// What was written for one mask: pixels, and their tight box with inclusive ends; (0, 0, -1, -1) when empty.
typedef struct medsam_mask_stats {
  int64_t area;  ///< Pixels.
  int64_t x0;    ///< First column.
  int64_t y0;    ///< First row.
  int64_t x1;    ///< Last column.
  int64_t y1;    ///< Last row.
} medsam_mask_stats;

/// What was written for one object of a volume, before overlap; an empty one has the box (0, 0, 0, -1, -1, -1).
typedef struct medsam_volume_stats {
  int64_t voxels;  ///< Voxels.
  int64_t x0;      ///< First column.
  int64_t y0;      ///< First row.
  int64_t z0;      ///< First slice.
  int64_t x1;      ///< Last column.
  int64_t y1;      ///< Last row.
  int64_t z1;      ///< Last slice.
} medsam_volume_stats;

/// Where a certificate comes from: the values of medsam_engine_info.certificate_origins.
enum {
  MEDSAM_CERTIFICATE_PROJECT = 0,  ///< Measured by this project, compiled into the library.
  MEDSAM_CERTIFICATE_MACHINE = 1,  ///< Measured on this machine by `medsam-engine certify`.
  MEDSAM_CERTIFICATE_BUNDLE = 2,   ///< Only in the bundle; valid with trust_bundle_certificates.
};

/// The settings of an engine. medsam::EngineOptions (medsam/engine.hpp) documents each field in full.
typedef struct medsam_engine_options {
  size_t size;                        ///< Set by medsam_engine_options_init.
  const char* device;                 ///< "CPU" (default).
  const char* precision;              ///< "f32" (default), "auto", or an approximation that the bundle certifies.
  const char* profile;                ///< "clinical" (default), another built-in profile, or "" for the bundle's own.
  const char* cache_dir;              ///< Folder for compiled models; "" (default) = the user's cache, "none" = none.
  const char* embedding_store;        ///< Folder that keeps embeddings between runs; "" (default) = none.
  const char* modality;               ///< Modality of images for which none is given; "" (default) = unknown.
  uint64_t cache_bytes;               ///< Bytes of embeddings kept in memory; default 256 MiB, 0 = none.
  uint64_t embedding_store_bytes;     ///< Bytes that embedding_store may hold; default 4 GiB.
  uint64_t expert_limit;              ///< Most experts held at once; default 4.
  int32_t threads;                    ///< Inference threads; 0 (default) = all cores the process may use.
  int32_t embedding_storage;          ///< MEDSAM_EMBEDDING_*.
  int32_t allow_uncertified;          ///< 1 = run `precision` without a certificate. For measuring only.
  int32_t verify;                     ///< 1 = hash every file of the bundle again.
  medsam_log_callback log;            ///< NULL (default) = none. May be called while the engine lives.
  void* log_context;                  ///< Passed to `log`.
  int32_t trust_bundle_certificates;  ///< 1 = accept certificates that only the bundle contains.
  int32_t reserved;                   ///< 0.
} medsam_engine_options;

/// What an engine runs. Strings and arrays belong to the engine and are valid while it lives.
typedef struct medsam_engine_info {
  size_t size;                         ///< Set by medsam_engine_info_init.
  const char* family;                  ///< e.g. "litemedsam".
  const char* profile;                 ///< The profile in force.
  const char* device;                  ///< As the backend names it.
  const char* precision;               ///< The precision in force.
  const char* encoder_precision;       ///< The encoder's precision.
  const char* decoder_precision;       ///< The decoder's precision.
  const char* backend;                 ///< e.g. "OpenVINO 2026.4.1".
  const char* encoder_backend;         ///< The encoder's, e.g. "fused 2".
  const char* model_hash;              ///< SHA-256 over the bundle's model files, hex.
  const char* fingerprint;             ///< The value that an embedding must carry to be accepted.
  const char* const* certified;        ///< Precisions that may run, "encoder/decoder"; certified_count of them.
  const char* const* modalities;       ///< Modalities that the model distinguishes; modality_count of them.
  const char* const* experts;          ///< Names of the bundle's experts; expert_count of them.
  size_t certified_count;              ///< At least 1: "f32/f32", or "f32_fused/f32_fused" without graphs.
  size_t modality_count;               ///< 0: the model does not use a modality.
  size_t expert_count;                 ///< 0: one model for all.
  const int64_t* embedding_shape;      ///< (1, C, h, w); 4 numbers.
  const int64_t* mask_shape;           ///< (h, w) of the low-resolution logits; 2 numbers.
  int32_t input_size;                  ///< Side of the encoder's square input, pixels.
  int32_t threads;                     ///< Inference threads requested or tuned; 0 = all cores.
  int32_t tuned;                       ///< 1: `medsam-engine tune` chose the precision and the threads.
  int32_t accepts_points;              ///< 1: prompts may have points.
  int32_t accepts_mask;                ///< 1: prompts may have an earlier mask.
  int32_t accepts_scribble;            ///< 1: prompts may have a scribble.
  int32_t needs_modality;              ///< 1: an image without one of `modalities` is refused.
  int32_t reserved;                    ///< 0.
  const char* const* certificates;     ///< Those in the bundle, "encoder/decoder"; certificate_count of them.
  const int32_t* certificate_origins;  ///< Where each comes from: MEDSAM_CERTIFICATE_*.
  size_t certificate_count;            ///< 0: there are none.
  /// The combinations of MEDSAM_PROMPT_* that the weights were trained with; trained_prompt_count of them. The graph
  /// takes more (accepts_*), but a prompt that is not in this list gets a wrong mask, and is refused.
  const int32_t* trained_prompts;
  size_t trained_prompt_count;     ///< At least 1.
  int32_t trained_prompts_stated;  ///< 0: the bundle is too old to say; a box alone is assumed. Export it again.
  int32_t reserved2;               ///< 0.
  const char* decoder_backend;     ///< The decoder's, e.g. "fused decoder 1", or `backend`.
} medsam_engine_info;

/// Counters of the embedding cache since the engine was created.
typedef struct medsam_cache_stats {
  size_t size;          ///< Set by medsam_cache_stats_init.
  uint64_t hits;        ///< Images whose embedding was cached, or being computed by another thread.
  uint64_t misses;      ///< Images that were encoded, or read from the store.
  uint64_t store_hits;  ///< Misses that were read from the store.
  uint64_t evictions;   ///< Embeddings dropped to stay within the budget.
  uint64_t entries;     ///< Embeddings held now.
  uint64_t bytes;       ///< Bytes they hold.
  uint64_t budget;      ///< medsam_engine_options.cache_bytes.
} medsam_cache_stats;

/// Description of an embedding. `fingerprint` and `data` belong to the embedding.
typedef struct medsam_embedding_info {
  size_t size;              ///< Set by medsam_embedding_info_init.
  const float* data;        ///< Row-major f32 of `shape`.
  const char* fingerprint;  ///< Hex digest of the encoder, its precision, its image rules and the storage.
  uint64_t bytes;           ///< Bytes held.
  int64_t height;           ///< Rows of the original image.
  int64_t width;            ///< Columns of the original image.
  int64_t shape[4];         ///< (1, C, h, w).
} medsam_embedding_info;

/// Sizes of a prediction: N prompts with M masks each.
typedef struct medsam_prediction_info {
  size_t size;               ///< Set by medsam_prediction_info_init.
  int64_t prompts;           ///< N.
  int64_t masks_per_prompt;  ///< M, 1 or 3.
  int64_t low_res_height;    ///< h of the logits.
  int64_t low_res_width;     ///< w of the logits.
  int64_t height;            ///< H of the original image.
  int64_t width;             ///< W of the original image.
} medsam_prediction_info;

/// Options of medsam_encode.
typedef struct medsam_encode_options {
  size_t size;           ///< Set by medsam_encode_options_init.
  const char* modality;  ///< In any usual spelling ("X-Ray", "xray"); "" (default) = the engine's.
} medsam_encode_options;

/// One object to segment: a box, points, or both; optionally a mask or a scribble to start from. At least one of them.
/// What the model does not take (medsam_engine_info.accepts_*) is MEDSAM_UNSUPPORTED, and so is a combination that its
/// weights were not trained with (medsam_engine_info.trained_prompts).
typedef struct medsam_prompt {
  size_t size;                 ///< Set by medsam_prompt_init.
  const medsam_box* box;       ///< NULL (default) = none.
  const medsam_point* points;  ///< point_count of them; may be NULL when that is 0.
  int64_t point_count;         ///< Number of points, at most 1024.
  /// (h, w) row-major f32 logits of an earlier prediction on the same image or, for a model that accepts scribbles, 1
  /// where drawn and 0 elsewhere in the same frame; NULL (default) = none.
  const float* mask_input;
  int64_t mask_input_count;  ///< Floats at mask_input: h * w of the engine's mask_shape, 0 without one.
  /// (H, W) bytes, nonzero where drawn, in pixels of the original image; NULL (default) = none.
  const uint8_t* scribble;
  int64_t scribble_height;      ///< H of the image.
  int64_t scribble_width;       ///< W of the image.
  int64_t scribble_row_stride;  ///< Bytes from one row to the next, at least the width.
} medsam_prompt;

/// Options of medsam_predict.
typedef struct medsam_predict_options {
  size_t size;                          ///< Set by medsam_predict_options_init.
  int32_t multimask_output;             ///< 0 (default): one mask per prompt. 1: three alternatives in SAM's order.
  int32_t reserved;                     ///< 0.
  medsam_cancelled_callback cancelled;  ///< Called before every batch of prompts; NULL (default) = none.
  void* cancelled_context;              ///< Passed to `cancelled`.
  int32_t allow_untrained;              ///< 1 = answer prompts that the weights were not trained with; for research.
  int32_t reserved2;                    ///< 0.
} medsam_predict_options;

/// Options of medsam_segment and medsam_segment_embedding.
typedef struct medsam_segment_options {
  size_t size;                          ///< Set by medsam_segment_options_init.
  const char* modality;                 ///< As medsam_encode_options.modality.
  medsam_cancelled_callback cancelled;  ///< As in medsam_predict_options; also called before the encode.
  void* cancelled_context;              ///< Passed to `cancelled`.
  float* iou;                           ///< Receives the model's estimate of each mask's IoU; NULL (default) = none.
} medsam_segment_options;

enum {                       ///< The planes in which the objects of a volume are segmented.
  MEDSAM_PLANES_SLICES = 0,  ///< The slices of the volume.
  /// Those along all axes, fused; 16 voxels or more along each, sides within a factor of 1.5, and e.g. "clinical".
  MEDSAM_PLANES_THREE = 1
};

/// Options of medsam_segment_volume. A step is one slice of all objects that pass through it, once per direction.
typedef struct medsam_volume_options {
  size_t size;                          ///< Set by medsam_volume_options_init.
  const char* profile;                  ///< A profile for this call; "" (default) = that of the engine.
  const char* modality;                 ///< As medsam_encode_options.modality.
  medsam_progress_callback progress;    ///< Called after each step; NULL (default) = none.
  void* progress_context;               ///< Passed to `progress`.
  medsam_cancelled_callback cancelled;  ///< Called before each step; NULL (default) = none.
  void* cancelled_context;              ///< Passed to `cancelled`.
  float* iou;      ///< Receives each object's estimate, the mean over its voxels, NaN for none; NULL (default) = none.
  int32_t planes;  ///< MEDSAM_PLANES_*.
  int32_t reserved;  ///< 0.
  double spacing_x;  ///< mm between columns, 1e-7 to 1e6, for MEDSAM_PLANES_THREE; all three 0 (default) = not known.
  double spacing_y;  ///< mm between rows, likewise.
  double spacing_z;  ///< mm between slices, likewise.
} medsam_volume_options;

// NOLINTEND(modernize-*,readability-identifier-naming)
