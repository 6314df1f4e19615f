// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/// \file
/// The C API (C99 and newer): load a bundle once, encode an image once, answer any number of prompts. docs/c.md is the
/// guide.
///
/// Errors: every function that can fail returns a medsam_status. No function prints, aborts, exits or lets an exception
/// out. After a failure, the handles that were requested are NULL and the content of output buffers is unspecified.
///
/// Ownership: a function that creates a handle passes it to the caller, who must destroy it with its _destroy function;
/// _destroy ignores NULL. A handle is a number that is never issued twice. A handle that was destroyed, one of another
/// kind and any other pointer give MEDSAM_INVALID_ARGUMENT in every call; _destroy does nothing with them and only
/// leaves a message in medsam_last_error(). Buffers belong to the caller and are used only during the call.
///
/// Threads: all functions may be called from many threads at once, also on the same handles. A _destroy may overlap
/// calls that use the handle: those calls finish, and later ones are refused. The memory that an info struct points to
/// is valid until the _destroy.
///
/// Callbacks must return: longjmp out of one is undefined. If a C++ callback throws, the call that runs it ends with
/// MEDSAM_BACKEND_ERROR (MEDSAM_OUT_OF_MEMORY for std::bad_alloc); an exception of a log callback is dropped.
///
/// After fork(), every function that takes an inherited engine returns MEDSAM_UNSUPPORTED, except
/// medsam_engine_get_info and medsam_engine_destroy, which frees nothing there. medsam_engine_create returns it as well
/// for an engine that runs a graph on OpenVINO if the parent has ever had one: start processes with exec, or fork
/// before the first engine is created.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "medsam/export.h"
#include "medsam/medsam_session.h"
#include "medsam/medsam_types.h"

/// The version of the library in use, e.g. "0.1.0".
MEDSAM_API const char* medsam_version(void);

/// The name of a status, e.g. "MEDSAM_INVALID_ARGUMENT"; "unknown status" for any other number. Never NULL.
MEDSAM_API const char* medsam_status_name(medsam_status status);

/// The message of the last failed call of this thread: one printable line of at most 2000 bytes, which states what was
/// wrong, the value that was given, what was expected and what to do. It is "" before any failure and valid until the
/// next failed call of this thread. A call that succeeds does not change it.
MEDSAM_API const char* medsam_last_error(void);

/// \name Structs that begin with a size
/// Each of these functions fills a struct with its defaults. `size` is the sizeof of the struct, so that the struct of
/// a caller with an older header is not overrun. MEDSAM_INVALID_ARGUMENT: NULL, or a size that no version of the struct
/// has.
/// @{

/// Fills a medsam_engine_options with its defaults.
MEDSAM_API medsam_status medsam_engine_options_init(medsam_engine_options* options, size_t size);
/// Fills a medsam_engine_info with its defaults.
MEDSAM_API medsam_status medsam_engine_info_init(medsam_engine_info* info, size_t size);
/// Fills a medsam_cache_stats with its defaults.
MEDSAM_API medsam_status medsam_cache_stats_init(medsam_cache_stats* stats, size_t size);
/// Fills a medsam_embedding_info with its defaults.
MEDSAM_API medsam_status medsam_embedding_info_init(medsam_embedding_info* info, size_t size);
/// Fills a medsam_prediction_info with its defaults.
MEDSAM_API medsam_status medsam_prediction_info_init(medsam_prediction_info* info, size_t size);
/// Fills a medsam_encode_options with its defaults.
MEDSAM_API medsam_status medsam_encode_options_init(medsam_encode_options* options, size_t size);
/// Fills a medsam_prompt with its defaults.
MEDSAM_API medsam_status medsam_prompt_init(medsam_prompt* prompt, size_t size);
/// Fills a medsam_predict_options with its defaults.
MEDSAM_API medsam_status medsam_predict_options_init(medsam_predict_options* options, size_t size);
/// Fills a medsam_segment_options with its defaults.
MEDSAM_API medsam_status medsam_segment_options_init(medsam_segment_options* options, size_t size);
/// Fills a medsam_volume_options with its defaults.
MEDSAM_API medsam_status medsam_volume_options_init(medsam_volume_options* options, size_t size);
/// @}

/// Loads the bundle in the folder `bundle`: compiles the model, or reads the compiled model from the cache. `options`
/// may be NULL. Returns any error except MEDSAM_CANCELLED.
MEDSAM_API medsam_status medsam_engine_create(const char* bundle, const medsam_engine_options* options,
                                              medsam_engine** engine);
/// Destroys the engine; NULL is ignored. Embeddings and predictions that it made stay valid.
MEDSAM_API void medsam_engine_destroy(medsam_engine* engine);

/// Writes what the engine runs into an `info` from medsam_engine_info_init. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_engine_get_info(const medsam_engine* engine, medsam_engine_info* info);

/// Writes the counters of the embedding cache into a `stats` from medsam_cache_stats_init. MEDSAM_INVALID_ARGUMENT,
/// MEDSAM_UNSUPPORTED (after fork).
MEDSAM_API medsam_status medsam_engine_get_cache_stats(const medsam_engine* engine, medsam_cache_stats* stats);

/// Drops all cached embeddings, for example when the patient changes; the counters and the store on disk stay.
/// MEDSAM_INVALID_ARGUMENT, MEDSAM_UNSUPPORTED (after fork).
MEDSAM_API medsam_status medsam_engine_clear_cache(const medsam_engine* engine);

/// Resizes, normalizes, pads and encodes one image, which is the expensive step (0.1 to 1 s on a CPU). If the same
/// pixels are encoded again, the embedding comes from the cache of the engine. Models that use the pixels inside a box
/// accept u8 only. `options` may be NULL. MEDSAM_INVALID_ARGUMENT (also for a modality that is unknown or missing),
/// MEDSAM_BACKEND_ERROR, MEDSAM_OUT_OF_MEMORY.
MEDSAM_API medsam_status medsam_encode(const medsam_engine* engine, const medsam_image* image,
                                       const medsam_encode_options* options, medsam_embedding** embedding);
/// Destroys the embedding; NULL is ignored.
MEDSAM_API void medsam_embedding_destroy(medsam_embedding* embedding);

/// Writes the description of the embedding into an `info` from medsam_embedding_info_init. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_embedding_get_info(const medsam_embedding* embedding, medsam_embedding_info* info);

/// Writes the embedding as bytes, to be saved or sent. They are portable between machines and protected by a digest.
/// `*needed` receives their number, even if `capacity` is too small (MEDSAM_INVALID_ARGUMENT); a NULL buffer with
/// capacity 0 only asks for the number. The bytes contain the image in encoded form: protect them as you protect it.
MEDSAM_API medsam_status medsam_embedding_serialize(const medsam_embedding* embedding, void* buffer, size_t capacity,
                                                    size_t* needed);
/// The inverse. MEDSAM_MODEL_ERROR if medsam_embedding_serialize did not write the bytes.
MEDSAM_API medsam_status medsam_embedding_deserialize(const void* data, size_t size, medsam_embedding** embedding);

/// Answers `count` prompts about an encoded image (tens of ms each on a CPU); none give an empty prediction. `prompts`
/// is an array of structs from medsam_prompt_init, all of the same size. `options` may be NULL. The answer to a prompt
/// does not depend on the others. MEDSAM_MODEL_ERROR: the embedding belongs to another model. MEDSAM_UNSUPPORTED: the
/// model does not accept this kind of prompt. Any other error is possible.
MEDSAM_API medsam_status medsam_predict(const medsam_engine* engine, const medsam_embedding* embedding,
                                        const medsam_prompt* prompts, int64_t count,
                                        const medsam_predict_options* options, medsam_prediction** prediction);
/// Destroys the prediction; NULL is ignored.
MEDSAM_API void medsam_prediction_destroy(medsam_prediction* prediction);

/// Writes the sizes of the prediction into an `info` from medsam_prediction_info_init. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_get_info(const medsam_prediction* prediction, medsam_prediction_info* info);

/// Writes 1 where mask m of prompt n is set and 0 elsewhere: (H, W) row-major, without gaps. `capacity` is the number
/// of bytes at `mask`, at least H * W. `stats` may be NULL. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_read_mask(const medsam_prediction* prediction, int64_t n, int64_t m,
                                                     uint8_t* mask, size_t capacity, medsam_mask_stats* stats);

/// Writes `label` where mask m of prompt n is set and leaves the rest of `labels` (H, W) unchanged. `stats` may be
/// NULL. MEDSAM_INVALID_ARGUMENT: n or m is out of range, `labels` has the wrong size, or `label` does not fit its
/// type.
MEDSAM_API medsam_status medsam_prediction_write_mask(const medsam_prediction* prediction, int64_t n, int64_t m,
                                                      const medsam_labels* labels, uint32_t label,
                                                      medsam_mask_stats* stats);

/// Copies the logits (N, M, h, w), row-major, in the model's frame (padding included); > 0 = object. `capacity` is the
/// number of floats at `logits`, at least N * M * h * w. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_read_logits(const medsam_prediction* prediction, float* logits,
                                                       size_t capacity);

/// Copies the model's own estimate of the IoU of each mask, (N, M) row-major. `capacity` is the number of floats at
/// `iou`, at least N * M. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_read_iou(const medsam_prediction* prediction, float* iou, size_t capacity);

/// Encodes an image and segments one object per box. Writes k + 1 for boxes[k] into `labels` (H, W), and 0 elsewhere;
/// where masks overlap, the profile decides; it may answer small boxes from windows of the image, too
/// (docs/profiles.md, "zoom"). `stats` receives one entry per box, before overlaps are resolved. `stats` and `options`
/// may be NULL. Errors as medsam_encode and medsam_predict.
MEDSAM_API medsam_status medsam_segment(const medsam_engine* engine, const medsam_image* image, const medsam_box* boxes,
                                        int64_t count, const medsam_labels* labels,
                                        const medsam_segment_options* options, medsam_mask_stats* stats);
/// The same for an image that has been encoded.
MEDSAM_API medsam_status medsam_segment_embedding(const medsam_engine* engine, const medsam_embedding* embedding,
                                                  const medsam_box* boxes, int64_t count, const medsam_labels* labels,
                                                  const medsam_segment_options* options, medsam_mask_stats* stats);

/// Segments a volume (D, H, W). Object k is followed through the slices of boxes[k] by the rules of the profile: from
/// its middle slice up and down, or each slice for itself. Writes label k + 1 into `labels` (D, H, W), and 0 elsewhere.
/// Calls `options->cancelled` before each step and `options->progress` after it. `stats` receives one entry per box;
/// `stats` and `options` may be NULL. Errors as medsam_segment.
MEDSAM_API medsam_status medsam_segment_volume(const medsam_engine* engine, const medsam_volume* volume,
                                               const medsam_box_3d* boxes, int64_t count,
                                               const medsam_label_volume* labels, const medsam_volume_options* options,
                                               medsam_volume_stats* stats);
