// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Folders of cases as the MedSAM-on-laptop challenge has them: NAME.npz with imgs and boxes in, NAME.npz with segs out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "medsam/engine.hpp"
#include "medsam/export.hpp"

namespace medsam {

/// What became of a case.
enum class CaseStatus : std::uint8_t {
  done,     ///< Segmented and written.
  skipped,  ///< Was there already; see FolderOptions::overwrite.
  failed,   ///< See CaseReport::message; nothing was written.
};

/// What became of one case. Times are in seconds; reading and writing overlap with other cases' segmentation.
struct CaseReport {
  std::string name;                      ///< File name as it is, e.g. "2DBox_US_busi_1.npz"; see printable().
  CaseStatus status = CaseStatus::done;  ///< What became of it.
  std::string message;                   ///< One line when failed, else empty.
  std::int64_t objects = 0;              ///< Boxes.
  std::int64_t empty_objects = 0;        ///< Of these, how many got no pixel.
  std::int64_t slices = 0;               ///< D of a volume, 1 for an image, 0 when skipped or unreadable.
  double read_s = 0;                     ///< Reading the file.
  double segment_s = 0;                  ///< Encoding and decoding.
  double write_s = 0;                    ///< Writing the answer.
};

/// How far a run is.
struct FolderProgress {
  std::int64_t case_index = 0;  ///< Of the case at work, among those not skipped.
  std::int64_t case_count = 0;  ///< Cases not skipped.
  std::string name;             ///< File name of the case at work.
  std::int64_t step = 0;        ///< Steps of this case that are done.
  std::int64_t steps = 0;       ///< Steps of this case in all, 0 before it is known.
};

/// The most bytes that one file may decode to when nothing else is said: a quarter of the memory that this process may
/// use, by the machine, its control groups and RLIMIT_AS. At least 1. Thread-safe.
MEDSAM_ENGINE_EXPORT std::uint64_t default_max_bytes();

/// What a run over a folder reads, writes and calls.
struct FolderOptions {
  /// Folder of *.npz. A name that starts with 2DBox_ is an image: imgs (H, W) or (H, W, 3) and boxes (N, 4); one that
  /// starts with 3DBox_ a volume: imgs (D, H, W) or (D, H, W, 3) and boxes (N, 6); any other goes by the width of its
  /// boxes. imgs are uint8, uint16, int16 or float32, boxes of any integer or float type with inclusive ends; N may be
  /// 0.
  std::string input;
  /// Folder of the answers, made if absent: the same names, key segs, (H, W) or (D, H, W) uint16 (uint32 above 65535
  /// boxes), k where the k-th box's object is. Another folder than the input.
  std::string output;
  /// false: a case whose answer is there already is skipped.
  bool overwrite = false;
  /// File for a table of times (CSV), a row as each case ends; "" = none. Its cells are printable, and one that begins
  /// with = + - @ gets an apostrophe before it, so that no spreadsheet takes a file's name for a formula.
  std::string csv;
  /// Other files and folders that are read, e.g. the bundle: no answer and no table may be one of them, or of the files
  /// right inside. The cases themselves need not be named.
  std::vector<std::string> also_read;
  /// The modality of every case, as EncodeOptions::modality; "" = what the second field of each file name tells
  /// (2DBox_US_0001.npz), if it names one.
  std::string modality;
  /// Most bytes of pixels read ahead, and of labels written behind, while another case is segmented. Larger ones wait.
  std::uint64_t ahead_bytes = std::uint64_t{256} << 20;
  /// Most bytes of imgs, unpacked, that a case may have; a larger one is refused before memory is asked for. 0 =
  /// default_max_bytes().
  std::uint64_t max_bytes = 0;
  /// Called on the thread of run(), as a case begins and after each slice of a volume. Must not throw.
  std::function<void(const FolderProgress&)> progress;
  /// Called on the thread of run() when a case has ended, one after the other. Must not throw.
  std::function<void(const CaseReport&)> finished;
  /// Asked on the thread of run(), often; true ends the run. The case at work is dropped, finished ones are written.
  /// Must not throw.
  std::function<bool()> cancelled;
};

/// What became of all cases.
struct FolderReport {
  std::vector<CaseReport> cases;  ///< Sorted by name. Those that a cancelled run did not come to are absent.
  std::int64_t done = 0;          ///< Cases segmented and written.
  std::int64_t skipped = 0;       ///< Cases whose answer was there already.
  std::int64_t failed = 0;        ///< Cases with a fault.
  bool cancelled = false;         ///< Whether FolderOptions::cancelled ended the run.
  double wall_s = 0;              ///< Of run().
  std::string csv_fault;          ///< Why the table of times is not complete; "" when it is.
};

/// One run over a folder. Construct it before the Engine: the first case is then read while the model loads.
class MEDSAM_ENGINE_EXPORT FolderRun {
 public:
  /// Lists the cases and starts reading the first one that is not finished. InvalidArgument: a folder cannot be read or
  /// written, holds no *.npz, is given twice, an answer or the table would replace what is read (through links, too),
  /// or the table of times cannot be written.
  explicit FolderRun(FolderOptions options);
  ~FolderRun();
  FolderRun(FolderRun&&) noexcept;             ///< Leaves the other to be assigned to or destroyed only.
  FolderRun& operator=(FolderRun&&) noexcept;  ///< Likewise.
  FolderRun(const FolderRun&) = delete;
  FolderRun& operator=(const FolderRun&) = delete;

  [[nodiscard]] std::int64_t size() const;     ///< Cases in the folder.
  [[nodiscard]] std::int64_t pending() const;  ///< Those that are not finished. With none no Engine is needed.

  /// Segments every pending case. One that fails is reported and the rest go on. Call it once (InvalidArgument).
  /// Unsupported, before any case, when this object or the engine was made before a fork.
  FolderReport run(const Engine& engine);
  /// The report of a run with nothing pending. InvalidArgument when there is.
  FolderReport run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// FolderRun with an engine at hand.
MEDSAM_ENGINE_EXPORT FolderReport run_folder(const Engine& engine, FolderOptions options);

}  // namespace medsam
