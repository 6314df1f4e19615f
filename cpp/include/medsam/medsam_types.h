// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/// \file
/// The C API's plain data: views, prompts, options, answers. Include medsam/medsam.h.
///
/// Two kinds of structs. Those without a `size` never change. Those that begin with `size` may gain fields at their
/// end: fill them with their init function, which also sets every default, before anything else. A library newer than
/// the header takes the defaults for fields that the caller's header did not have; an older one refuses the struct.
///
/// Strings are UTF-8 and end with a NUL; NULL stands for the default. Flags are 0 or 1. Everything given to a call is
/// borrowed for that call and copied where it is needed longer.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Names and typedefs are C's own here.
// NOLINTBEGIN(modernize-*,readability-identifier-naming)

/// What every function that can fail returns: MEDSAM_OK or the number of a kind of error. Stable across versions, and
/// the same as medsam::ErrorCode in C++ and Error.code in Python. The message is medsam_last_error().
typedef int32_t medsam_status;
/// The values of medsam_status.
enum {
  MEDSAM_OK = 0,                ///< Done.
  MEDSAM_INVALID_ARGUMENT = 1,  ///< The caller's input is out of its documented range.
  MEDSAM_MODEL_ERROR = 2,       ///< The bundle is missing, corrupt or not understood; an embedding of another model.
  MEDSAM_BACKEND_ERROR = 3,     ///< The inference library failed; its own text is in the message.
  MEDSAM_OUT_OF_MEMORY = 4,     ///< An allocation failed.
  MEDSAM_UNSUPPORTED = 5,       ///< Valid, but not possible here: a device, a precision, a kind of prompt.
  MEDSAM_CANCELLED = 6          ///< The caller's `cancelled` callback asked to stop.
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
/// How embeddings are kept.
enum {
  MEDSAM_EMBEDDING_F32 = 0,  ///< As the encoder gives them.
  MEDSAM_EMBEDDING_F16 = 1   ///< Rounded to half precision once: half the memory.
};
/// Kinds of messages.
enum {
  MEDSAM_LOG_INFO = 0,    ///< Worth knowing: how far a GPU's compilation of a model is.
  MEDSAM_LOG_WARNING = 1  ///< Something asked for was not possible; the engine goes on without it.
};

/// The kinds of input that a prompt is made of; a combination of them is their bits or-ed.
enum {
  MEDSAM_PROMPT_BOX = 1,      ///< A box.
  MEDSAM_PROMPT_POINTS = 2,   ///< Points of label 1 or 0.
  MEDSAM_PROMPT_MASK = 4,     ///< Logits of an earlier prediction.
  MEDSAM_PROMPT_SCRIBBLE = 8  ///< Strokes.
};

/// Receives a message, one line that lives for the call. Called on any thread, several at once: those that call the
/// engine, and those that compile models for it. `context` is the pointer given beside the callback. Like every
/// callback it must return: no longjmp. A C++ exception is dropped here.
typedef void (*medsam_log_callback)(void* context, int32_t level, const char* message);
/// Asked on the calling thread between units of work; not 0 ends the call with MEDSAM_CANCELLED.
typedef int32_t (*medsam_cancelled_callback)(void* context);
/// Told on the calling thread after each of `total` steps how many are done.
typedef void (*medsam_progress_callback)(void* context, int64_t done, int64_t total);

/// A loaded model. Every function that takes a const one may be called from many threads at once.
typedef struct medsam_engine medsam_engine;
/// One encoded image. Immutable: usable from many threads; may outlive its engine.
typedef struct medsam_embedding medsam_embedding;
/// The answer to prompts on one image. Immutable: usable from many threads; may outlive its engine and embedding.
typedef struct medsam_prediction medsam_prediction;

/// A borrowed image, rows top to bottom, channels interleaved: the sample of channel c at column x of row y lies at
/// `data + y * row_stride + (x * channels + c) * size of type` (bytes). Must not change during the call.
typedef struct medsam_image {
  const void* data;    ///< First sample of the top row, aligned to its type.
  int32_t pixel_type;  ///< MEDSAM_PIXEL_*. f32 must be finite.
  int32_t channels;    ///< 1 (grey) or 3 (RGB).
  int64_t height;      ///< Rows, >= 1.
  int64_t width;       ///< Columns, >= 1.
  int64_t row_stride;  ///< Bytes from a row to the next; negative for an image stored bottom-up.
} medsam_image;

/// A borrowed, writable label map (H, W): 0 is background, k the k-th object. Written only inside.
typedef struct medsam_labels {
  void* data;          ///< First label of the top row, aligned to its type.
  int32_t label_type;  ///< MEDSAM_LABEL_*; the largest label must fit.
  int32_t reserved;    ///< 0.
  int64_t height;      ///< Rows.
  int64_t width;       ///< Columns.
  int64_t row_stride;  ///< Bytes from a row to the next.
} medsam_labels;

/// A borrowed volume (D, H, W): slice z is a medsam_image that begins at `data + z * slice_stride` (bytes).
typedef struct medsam_volume {
  const void* data;      ///< First sample of slice 0, aligned to its type.
  int32_t pixel_type;    ///< MEDSAM_PIXEL_*.
  int32_t channels;      ///< 1 (grey) or 3 (RGB).
  int64_t depth;         ///< Slices, D >= 1.
  int64_t height;        ///< Rows, H >= 1.
  int64_t width;         ///< Columns, W >= 1.
  int64_t row_stride;    ///< Bytes from a row to the next.
  int64_t slice_stride;  ///< Bytes from a slice to the next; negative for a volume stored top down.
} medsam_volume;

/// A borrowed, writable label volume (D, H, W), slice by slice as medsam_labels.
typedef struct medsam_label_volume {
  void* data;            ///< First label of slice 0, aligned to its type.
  int32_t label_type;    ///< MEDSAM_LABEL_*.
  int32_t reserved;      ///< 0.
  int64_t depth;         ///< Slices, D.
  int64_t height;        ///< Rows, H.
  int64_t width;         ///< Columns, W.
  int64_t row_stride;    ///< Bytes from a row to the next.
  int64_t slice_stride;  ///< Bytes from a slice to the next.
} medsam_label_volume;

/// A click in pixels of the original image, x to the right, y downwards; pixel (0, 0) is the top left one.
typedef struct medsam_point {
  double x;          ///< Column, 0 <= x < W.
  double y;          ///< Row, 0 <= y < H.
  int32_t label;     ///< 1 = in the object, 0 = outside it, -1 = no point (has no effect).
  int32_t reserved;  ///< 0.
} medsam_point;

/// A box in pixels of the original image. Its ends are INCLUSIVE; an end equal to the image's size is clamped to the
/// last index. Reversed, not finite or further outside is MEDSAM_INVALID_ARGUMENT.
typedef struct medsam_box {
  double x0;  ///< First column.
  double y0;  ///< First row.
  double x1;  ///< Last column.
  double y1;  ///< Last row.
} medsam_box;

/// A box in voxel indices, ends INCLUSIVE, checked as medsam_box; z0 and z1 must be whole numbers.
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

/// Whose word a certificate is: the values of medsam_engine_info.certificate_origins.
enum {
  MEDSAM_CERTIFICATE_PROJECT = 0,  ///< This project's, compiled into the library.
  MEDSAM_CERTIFICATE_MACHINE = 1,  ///< Measured on this machine by `medsam-engine certify`.
  MEDSAM_CERTIFICATE_BUNDLE = 2,   ///< The bundle's own, which counts with trust_bundle_certificates only.
};

/// How an engine runs. See medsam::EngineOptions (medsam/engine.hpp) for the whole meaning of each field.
typedef struct medsam_engine_options {
  size_t size;                        ///< Set by medsam_engine_options_init.
  const char* device;                 ///< "CPU" (default).
  const char* precision;              ///< "f32" (default), "auto", or an approximation that the bundle certifies.
  const char* profile;                ///< "clinical" (default), another built-in profile, or "" for the bundle's own.
  const char* cache_dir;              ///< Folder of compiled models; "" (default) = the user's cache, "none" = none.
  const char* embedding_store;        ///< Folder that keeps embeddings between runs; "" (default) = none.
  const char* modality;               ///< Modality of images for which none is given; "" (default) = not known.
  uint64_t cache_bytes;               ///< Bytes of embeddings kept in memory; default 256 MiB, 0 = none.
  uint64_t embedding_store_bytes;     ///< Bytes that embedding_store may hold; default 4 GiB.
  uint64_t expert_limit;              ///< Most experts held at once; default 4.
  int32_t threads;                    ///< Inference threads; 0 (default) = all cores the process may use.
  int32_t embedding_storage;          ///< MEDSAM_EMBEDDING_*.
  int32_t allow_uncertified;          ///< 1 = run `precision` without a certificate. For measuring only.
  int32_t verify;                     ///< 1 = hash every file of the bundle again.
  medsam_log_callback log;            ///< NULL (default) = silence. Called for as long as the engine lives.
  void* log_context;                  ///< Given to `log`.
  int32_t trust_bundle_certificates;  ///< 1 = take the bundle's own word for its certificates.
  int32_t reserved;                   ///< 0.
} medsam_engine_options;

/// What an engine runs. Strings and arrays belong to the engine and live as long as it.
typedef struct medsam_engine_info {
  size_t size;                         ///< Set by medsam_engine_info_init.
  const char* family;                  ///< e.g. "litemedsam".
  const char* profile;                 ///< The profile in force.
  const char* device;                  ///< As the backend names it.
  const char* precision;               ///< The precision in force.
  const char* encoder_precision;       ///< Of it, what the encoder computes in.
  const char* decoder_precision;       ///< And the decoder.
  const char* backend;                 ///< e.g. "OpenVINO 2026.4.1".
  const char* encoder_backend;         ///< The encoder's, e.g. "fused 1"; else the same.
  const char* model_hash;              ///< SHA-256 over the bundle's model files, hex.
  const char* fingerprint;             ///< What an embedding must carry to be accepted.
  const char* const* certified;        ///< What may run here: "encoder/decoder" precisions; certified_count of them.
  const char* const* modalities;       ///< That the model tells apart; modality_count of them.
  const char* const* experts;          ///< Names of the bundle's experts; expert_count of them.
  size_t certified_count;              ///< At least 1: "f32/f32".
  size_t modality_count;               ///< 0: the model does not ask for a modality.
  size_t expert_count;                 ///< 0: one model for all.
  const int64_t* embedding_shape;      ///< (1, C, h, w); 4 numbers.
  const int64_t* mask_shape;           ///< (h, w) of the low-resolution logits; 2 numbers.
  int32_t input_size;                  ///< Side of the encoder's square input, pixels.
  int32_t threads;                     ///< Inference threads asked for, or tuned; 0 = all.
  int32_t tuned;                       ///< 1: `medsam-engine tune` chose the precision and the threads.
  int32_t accepts_points;              ///< 1: prompts may have points.
  int32_t accepts_mask;                ///< 1: prompts may have an earlier mask.
  int32_t accepts_scribble;            ///< 1: prompts may have a scribble.
  int32_t needs_modality;              ///< 1: an image without one of `modalities` is refused.
  int32_t reserved;                    ///< 0.
  const char* const* certificates;     ///< The bundle's, as "encoder/decoder" precisions; certificate_count of them.
  const int32_t* certificate_origins;  ///< Whose word each is: MEDSAM_CERTIFICATE_*.
  size_t certificate_count;            ///< 0: there are none.
  /// The combinations of MEDSAM_PROMPT_* that the weights were trained with; trained_prompt_count of them. The graph
  /// takes more (accepts_*), but a prompt that is not in this list gets a wrong mask, and is refused.
  const int32_t* trained_prompts;
  size_t trained_prompt_count;     ///< At least 1.
  int32_t trained_prompts_stated;  ///< 0: the bundle is too old to say; a box alone is assumed. Export it again.
  int32_t reserved2;               ///< 0.
} medsam_engine_info;

/// The embedding cache's counters since the engine was made.
typedef struct medsam_cache_stats {
  size_t size;          ///< Set by medsam_cache_stats_init.
  uint64_t hits;        ///< Images whose embedding was there, or being made by another thread.
  uint64_t misses;      ///< Images encoded, or read from the store.
  uint64_t store_hits;  ///< Of the misses, those read from the store.
  uint64_t evictions;   ///< Embeddings dropped to stay within the budget.
  uint64_t entries;     ///< Embeddings held now.
  uint64_t bytes;       ///< Bytes they hold.
  uint64_t budget;      ///< medsam_engine_options.cache_bytes.
} medsam_cache_stats;

/// What an embedding is. `fingerprint` and `data` belong to it.
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

/// How an image is encoded.
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
  int64_t point_count;         ///< Of `points`.
  /// (h, w) row-major f32 logits of an earlier prediction on the same image, or, for a model that takes scribbles, 1
  /// where drawn and 0 elsewhere in that frame; NULL (default) = none.
  const float* mask_input;
  int64_t mask_input_count;  ///< Floats at mask_input: h * w of the engine's mask_shape, 0 without one.
  /// (H, W) bytes, not 0 where drawn, in pixels of the original image; NULL (default) = none.
  const uint8_t* scribble;
  int64_t scribble_height;      ///< H of the image.
  int64_t scribble_width;       ///< W of the image.
  int64_t scribble_row_stride;  ///< Bytes from a row to the next, at least the width.
} medsam_prompt;

/// How prompts are answered.
typedef struct medsam_predict_options {
  size_t size;                          ///< Set by medsam_predict_options_init.
  int32_t multimask_output;             ///< 0 (default): one mask a prompt. 1: three alternatives, as SAM orders them.
  int32_t reserved;                     ///< 0.
  medsam_cancelled_callback cancelled;  ///< Before every batch of prompts; NULL (default) = never.
  void* cancelled_context;              ///< Given to `cancelled`.
  int32_t allow_untrained;  ///< 1 = answer prompts that the weights were not trained with. For research only.
  int32_t reserved2;        ///< 0.
} medsam_predict_options;

/// How an image is segmented in one go.
typedef struct medsam_segment_options {
  size_t size;                          ///< Set by medsam_segment_options_init.
  const char* modality;                 ///< As medsam_encode_options.modality.
  medsam_cancelled_callback cancelled;  ///< As in medsam_predict_options; also asked before the image is encoded.
  void* cancelled_context;              ///< Given to `cancelled`.
} medsam_segment_options;

/// How a volume is segmented. A step is one slice in one direction for all objects that pass through it.
typedef struct medsam_volume_options {
  size_t size;                          ///< Set by medsam_volume_options_init.
  const char* profile;                  ///< A profile for this call; "" (default) = the engine's.
  const char* modality;                 ///< As medsam_encode_options.modality.
  medsam_progress_callback progress;    ///< After each step; NULL (default) = not told.
  void* progress_context;               ///< Given to `progress`.
  medsam_cancelled_callback cancelled;  ///< Before each step; NULL (default) = never.
  void* cancelled_context;              ///< Given to `cancelled`.
} medsam_volume_options;

// NOLINTEND(modernize-*,readability-identifier-naming)
