// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
/// \file
/// The C API (C99 and newer): load a bundle once, encode an image once, answer any number of prompts. docs/c.md is the
/// guide.
///
/// Errors: every function that can fail returns a medsam_status and never prints, aborts, exits or lets an exception
/// out. After a failure handles asked for are NULL and the content of output buffers is unspecified.
///
/// Ownership: a function that makes a handle gives it to the caller, who ends it with its _destroy; NULL is ignored
/// there. A handle is a number that is never given out twice: one that was destroyed, one of another kind and any other
/// pointer are MEDSAM_INVALID_ARGUMENT in every call; _destroy leaves them alone and only medsam_last_error() says so.
/// Buffers are the caller's, and are used only during the call.
///
/// Threads: all functions may be called from many threads at once, on the same handles too. _destroy may overlap calls
/// that use the handle: those finish, later ones are refused. What an info struct points to goes with the _destroy.
///
/// Callbacks must return: longjmp out of one is undefined. What a C++ callback throws ends the call that runs it with
/// MEDSAM_BACKEND_ERROR (of std::bad_alloc with MEDSAM_OUT_OF_MEMORY); what a log callback throws is dropped.
///
/// After fork() the child must create an engine of its own: every function that takes an inherited one is
/// MEDSAM_UNSUPPORTED, but for medsam_engine_get_info and medsam_engine_destroy, which frees nothing there.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "medsam/export.h"
#include "medsam/medsam_types.h"

/// The version of the library in use, e.g. "0.1.0".
MEDSAM_API const char* medsam_version(void);

/// The name of a status, e.g. "MEDSAM_INVALID_ARGUMENT"; "unknown status" for a number that is none. Never NULL.
MEDSAM_API const char* medsam_status_name(medsam_status status);

/// The message of this thread's last failed call: one printable line, what, got, expected, remedy; "" before any. Valid
/// until this thread's next failed call; at most 2000 bytes. A call that succeeds leaves it alone.
MEDSAM_API const char* medsam_last_error(void);

/// \name Structs that begin with a size
/// Each of these fills a struct with its defaults. `size` is sizeof the struct, so that a caller with an older header
/// stays within its own. MEDSAM_INVALID_ARGUMENT: NULL, or a size that no version of the struct has.
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

/// Loads the bundle in folder `bundle`: compiles the model, or takes the compiled one from the cache. `options` may be
/// NULL. Any error but MEDSAM_CANCELLED.
MEDSAM_API medsam_status medsam_engine_create(const char* bundle, const medsam_engine_options* options,
                                              medsam_engine** engine);
/// Ends the engine; NULL is ignored. Embeddings and predictions made with it stay valid.
MEDSAM_API void medsam_engine_destroy(medsam_engine* engine);

/// What the engine runs, into an `info` from medsam_engine_info_init. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_engine_get_info(const medsam_engine* engine, medsam_engine_info* info);

/// The embedding cache's counters, into a `stats` from medsam_cache_stats_init. MEDSAM_INVALID_ARGUMENT,
/// MEDSAM_UNSUPPORTED (after fork).
MEDSAM_API medsam_status medsam_engine_get_cache_stats(const medsam_engine* engine, medsam_cache_stats* stats);

/// Forgets every cached embedding, such as at a change of patient; the counters and the store on disk stay.
/// MEDSAM_INVALID_ARGUMENT, MEDSAM_UNSUPPORTED (after fork).
MEDSAM_API medsam_status medsam_engine_clear_cache(const medsam_engine* engine);

/// Resizes, normalises, pads and encodes one image: the expensive step (0.1 to 1 s on a CPU); the same pixels again
/// come from the engine's cache. Models that look at the pixels inside a box take u8 only. `options` may be NULL.
/// MEDSAM_INVALID_ARGUMENT (also a modality unknown or missing), MEDSAM_BACKEND_ERROR, MEDSAM_OUT_OF_MEMORY.
MEDSAM_API medsam_status medsam_encode(const medsam_engine* engine, const medsam_image* image,
                                       const medsam_encode_options* options, medsam_embedding** embedding);
/// Ends the embedding; NULL is ignored.
MEDSAM_API void medsam_embedding_destroy(medsam_embedding* embedding);

/// What the embedding is, into an `info` from medsam_embedding_info_init. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_embedding_get_info(const medsam_embedding* embedding, medsam_embedding_info* info);

/// Writes the embedding as bytes, to save or send, portable between machines and guarded by a digest. `*needed` gets
/// their number, also where `capacity` is too small (MEDSAM_INVALID_ARGUMENT); NULL with capacity 0 asks for it alone.
/// It holds image content in encoded form: protect it as you protect the images.
MEDSAM_API medsam_status medsam_embedding_serialize(const medsam_embedding* embedding, void* buffer, size_t capacity,
                                                    size_t* needed);
/// The opposite. MEDSAM_MODEL_ERROR when the bytes are not what medsam_embedding_serialize wrote.
MEDSAM_API medsam_status medsam_embedding_deserialize(const void* data, size_t size, medsam_embedding** embedding);

/// Answers `count` prompts about an encoded image (tens of ms each on a CPU); 0 give an empty prediction. `prompts` is
/// an array of structs from medsam_prompt_init, all of one size. `options` may be NULL. A prompt's answer does not
/// depend on the others. MEDSAM_MODEL_ERROR: the embedding is another model's. MEDSAM_UNSUPPORTED: a kind of prompt
/// that the model does not take. Any other error.
MEDSAM_API medsam_status medsam_predict(const medsam_engine* engine, const medsam_embedding* embedding,
                                        const medsam_prompt* prompts, int64_t count,
                                        const medsam_predict_options* options, medsam_prediction** prediction);
/// Ends the prediction; NULL is ignored.
MEDSAM_API void medsam_prediction_destroy(medsam_prediction* prediction);

/// The prediction's sizes, into an `info` from medsam_prediction_info_init. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_get_info(const medsam_prediction* prediction, medsam_prediction_info* info);

/// Writes 1 where mask m of prompt n is set and 0 elsewhere: (H, W) row-major, without gaps. `capacity` is the bytes at
/// `mask`, at least H * W. `stats` may be NULL. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_read_mask(const medsam_prediction* prediction, int64_t n, int64_t m,
                                                     uint8_t* mask, size_t capacity, medsam_mask_stats* stats);

/// Writes `label` where mask m of prompt n is set and leaves the rest of `labels` (H, W) as it is. `stats` may be NULL.
/// MEDSAM_INVALID_ARGUMENT: n, m, the size of `labels`, or a label that does not fit its type.
MEDSAM_API medsam_status medsam_prediction_write_mask(const medsam_prediction* prediction, int64_t n, int64_t m,
                                                      const medsam_labels* labels, uint32_t label,
                                                      medsam_mask_stats* stats);

/// Copies the logits (N, M, h, w), row-major, in the model's frame (padding included); > 0 is object. `capacity` is the
/// floats at `logits`, at least N * M * h * w. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_read_logits(const medsam_prediction* prediction, float* logits,
                                                       size_t capacity);

/// Copies the model's own estimate of each mask's IoU, (N, M) row-major. `capacity` is the floats at `iou`, at least
/// N * M. MEDSAM_INVALID_ARGUMENT.
MEDSAM_API medsam_status medsam_prediction_read_iou(const medsam_prediction* prediction, float* iou, size_t capacity);

/// Encode and one box a label: writes k + 1 for boxes[k] into `labels` (H, W), 0 elsewhere; where masks overlap, the
/// profile decides. `stats` gets one entry a box, before overlap; it may be NULL, and so may `options`. Errors as
/// medsam_encode and medsam_predict.
MEDSAM_API medsam_status medsam_segment(const medsam_engine* engine, const medsam_image* image, const medsam_box* boxes,
                                        int64_t count, const medsam_labels* labels,
                                        const medsam_segment_options* options, medsam_mask_stats* stats);
/// The same on an image encoded before.
MEDSAM_API medsam_status medsam_segment_embedding(const medsam_engine* engine, const medsam_embedding* embedding,
                                                  const medsam_box* boxes, int64_t count, const medsam_labels* labels,
                                                  const medsam_segment_options* options, medsam_mask_stats* stats);

/// Segments a volume (D, H, W): object k starts at the middle slice of boxes[k] and propagates both ways by the
/// profile's rules; label k + 1 goes into `labels` (D, H, W), 0 elsewhere. Tells `options->progress` after each slice
/// and asks `options->cancelled` before it. `stats` gets one entry a box; it may be NULL, and so may `options`. Errors
/// as medsam_segment.
MEDSAM_API medsam_status medsam_segment_volume(const medsam_engine* engine, const medsam_volume* volume,
                                               const medsam_box_3d* boxes, int64_t count,
                                               const medsam_label_volume* labels, const medsam_volume_options* options,
                                               medsam_volume_stats* stats);
