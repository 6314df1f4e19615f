// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Folders of cases in the format of the MedSAM-on-laptop challenge: the input is NAME.npz with imgs and boxes, the
// output NAME.npz with segs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "medsam/engine.hpp"
#include "medsam/export.hpp"

namespace medsam {

/// The outcome of a case.
enum class CaseStatus : std::uint8_t {
  done,     ///< Segmented and written.
  skipped,  ///< The answer already existed; see FolderOptions::overwrite.
  failed,   ///< See CaseReport::message; nothing was written.
};

/// The report of one case. Times are in seconds; reading and writing overlap with the segmentation of other cases.
struct CaseReport {
  std::string name;                      ///< File name, unchanged, e.g. "2DBox_US_busi_1.npz"; see printable().
  CaseStatus status = CaseStatus::done;  ///< The outcome.
  std::string message;                   ///< One line if the case failed, otherwise empty.
  std::int64_t objects = 0;              ///< Boxes.
  std::int64_t empty_objects = 0;        ///< Number of boxes whose mask is empty.
  std::int64_t slices = 0;               ///< D of a volume, 1 for an image, 0 when skipped or unreadable.
  double read_s = 0;                     ///< Reading the file.
  double segment_s = 0;                  ///< Encoding and decoding.
  double write_s = 0;                    ///< Writing the answer.
};

/// Progress of a run.
struct FolderProgress {
  std::int64_t case_index = 0;  ///< Index of the current case among those not skipped.
  std::int64_t case_count = 0;  ///< Cases not skipped.
  std::string name;             ///< File name of the current case.
  std::int64_t step = 0;        ///< Finished steps of this case.
  std::int64_t steps = 0;       ///< Steps of this case in total; 0 until it is known.
};

/// The default limit for the decoded bytes of one file: a quarter of the memory that this process may use, which is the
/// smallest of the machine's memory, the limits of its control groups and RLIMIT_AS. At least 1. Thread-safe.
MEDSAM_ENGINE_EXPORT std::uint64_t default_max_bytes();

/// The settings of a run over a folder.
struct FolderOptions {
  /// Folder of *.npz. A name that starts with 2DBox_ is an image: imgs (H, W) or (H, W, 3) and boxes (N, 4); one that
  /// starts with 3DBox_ a volume: imgs (D, H, W) or (D, H, W, 3) and boxes (N, 6); any other name is decided by the
  /// width of its boxes. imgs are uint8, uint16, int16 or float32, boxes of any integer or float type with inclusive
  /// ends; N may be 0.
  std::string input;
  /// Folder for the answers, created if absent. An answer has the name of its case and the key segs, (H, W) or
  /// (D, H, W) uint16 (uint32 above 65535 boxes): k where the object of the k-th box is, counted from 1. It must not be
  /// the input folder.
  std::string output;
  /// false: a case whose answer already exists is skipped.
  bool overwrite = false;
  /// File for a table of times (CSV), with one row per case, written when the case ends; "" = none. Its cells are
  /// printable, and a cell that begins with = + - @ gets an apostrophe in front, so that no spreadsheet interprets a
  /// file name as a formula.
  std::string csv;
  /// Other files and folders that are read, e.g. the bundle. No answer and no table may be one of them or a file
  /// directly inside one of them. The cases need not be listed.
  std::vector<std::string> also_read;
  /// The modality of every case, as EncodeOptions::modality; "" = the modality in the second field of each file name
  /// (2DBox_US_0001.npz), if it names one.
  std::string modality;
  /// Most bytes of pixels that are read ahead, and of labels that are written later, while another case is segmented. A
  /// larger case is not read ahead.
  std::uint64_t ahead_bytes = std::uint64_t{256} << 20;
  /// Most bytes that the imgs of a case may have, unpacked; a larger case is refused before memory is allocated. 0 =
  /// default_max_bytes().
  std::uint64_t max_bytes = 0;
  /// Called on the thread of run(), when a case begins and after each slice of a volume. Must not throw.
  std::function<void(const FolderProgress&)> progress;
  /// Called on the thread of run() when a case has ended, for one case after the other. Must not throw.
  std::function<void(const CaseReport&)> finished;
  /// Called often, on the thread of run(); return true to end the run. The current case is dropped, and finished cases
  /// are written. Must not throw.
  std::function<bool()> cancelled;
};

/// The report of a run.
struct FolderReport {
  std::vector<CaseReport> cases;  ///< Sorted by name. A cancelled run omits those it did not reach.
  std::int64_t done = 0;          ///< Cases segmented and written.
  std::int64_t skipped = 0;       ///< Cases whose answer already existed.
  std::int64_t failed = 0;        ///< Cases that failed.
  bool cancelled = false;         ///< Whether FolderOptions::cancelled ended the run.
  double wall_s = 0;              ///< Duration of run().
  std::string csv_fault;          ///< Why the table of times is incomplete; "" = complete.
};

/// One run over a folder. Construct it before the Engine: the first case is then read while the model loads.
class MEDSAM_ENGINE_EXPORT FolderRun {
 public:
  /// Lists the cases and starts reading the first one that is not finished. Raises InvalidArgument if a folder cannot
  /// be read or written, contains no *.npz or is given twice; if an answer or the table would replace a file that is
  /// read (also through links); or if the table of times cannot be written.
  explicit FolderRun(FolderOptions options);
  ~FolderRun();
  FolderRun(FolderRun&&) noexcept;             ///< Leaves the other empty; it may only be assigned or destroyed.
  FolderRun& operator=(FolderRun&&) noexcept;  ///< Likewise.
  FolderRun(const FolderRun&) = delete;
  FolderRun& operator=(const FolderRun&) = delete;

  [[nodiscard]] std::int64_t size() const;     ///< Cases in the folder.
  [[nodiscard]] std::int64_t pending() const;  ///< Cases that are not finished; if 0, no Engine is needed.

  /// Segments every pending case. A case that fails is reported, and the others are processed. A second call raises
  /// InvalidArgument. Raises Unsupported, before any case, if this object or the engine was created before a fork.
  FolderReport run(const Engine& engine);
  /// The report of a run without pending cases. Raises InvalidArgument if there are any.
  FolderReport run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Runs a FolderRun with an engine that is already loaded.
MEDSAM_ENGINE_EXPORT FolderReport run_folder(const Engine& engine, FolderOptions options);

}  // namespace medsam
