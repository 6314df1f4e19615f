// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Three things at once, so that the processor never waits for the disk: the next case is read, this one is segmented,
// the one before is written. At most one case each way, and only small ones (FolderOptions::ahead_bytes).
#include "medsam/folder.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "base/edge.hpp"
#include "npz/case.hpp"
#include "npz/case_list.hpp"
#include "npz/segs_file.hpp"
#include "npz/times_file.hpp"
#include "platform/path.hpp"
#include "platform/process.hpp"

namespace medsam {

namespace {

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A case that was read, was too large to be read ahead, or could not be read.
struct Loaded {
  std::optional<npz::Case> content;
  std::string fault;
  double seconds = 0;
  [[nodiscard]] bool deferred() const { return !content && fault.empty(); }
};

Loaded load(const std::string& path, const npz::ReadLimits& limits) {
  const Stopwatch watch;
  Loaded loaded;
  try {
    loaded.content = at_edge("reading", [&] { return npz::read_case(path, limits); });
  } catch (const Error& e) {
    loaded.fault = e.what();
  }
  loaded.seconds = watch.seconds();
  return loaded;
}

/// Fills in the end of a report: the answer is on the disk, or why it is not.
CaseReport save(CaseReport report, const std::string& path, const npz::Segs& segs) {
  const Stopwatch watch;
  try {
    at_edge("writing", [&] { npz::write_segs(path, segs); });
  } catch (const Error& e) {
    report.status = CaseStatus::failed;
    report.message = e.what();
  }
  report.write_s = watch.seconds();
  return report;
}

}  // namespace

struct FolderRun::Impl {
  explicit Impl(FolderOptions opts) : options(std::move(opts)), cases(npz::list_cases(options)), times(options.csv) {
    if (!cases.pending.empty()) read_ahead(0, std::nullopt);
  }

  FolderReport run(const Engine* engine);
  void check_process() const;

  FolderOptions options;
  npz::CaseList cases;
  npz::TimesFile times;
  bool started = false;
  const platform::ProcessId process = platform::process_id();

 private:
  void read_ahead(std::size_t index, std::optional<std::uint64_t> wait_above);
  Loaded take(std::size_t index);
  void run_case(const Engine& engine, std::size_t index);
  npz::Segs segment(const Engine& engine, const npz::Case& content, CaseReport& report,
                    const std::function<void(std::int64_t, std::int64_t)>& step) const;
  void write(CaseReport report, std::shared_ptr<const npz::Segs> segs);
  void settle(CaseReport report);
  void join_writer();
  [[nodiscard]] bool cancelled() const { return options.cancelled && options.cancelled(); }

  FolderReport report_;
  std::future<Loaded> next_;
  std::future<CaseReport> writer_;  // last, so that it ends before what it uses
};

void FolderRun::Impl::read_ahead(std::size_t index, std::optional<std::uint64_t> wait_above) {
  if (index >= cases.pending.size()) return;
  const std::string path = platform::in_folder(options.input, cases.pending[index]);
  const npz::ReadLimits limits{options.max_bytes == 0 ? default_max_bytes() : options.max_bytes, wait_above};
  next_ = std::async(std::launch::async, [path, limits] { return load(path, limits); });
}

Loaded FolderRun::Impl::take(std::size_t index) {
  Loaded loaded = next_.get();
  if (loaded.deferred()) {
    join_writer();  // a large case: let go of all else first
    read_ahead(index, std::nullopt);
    loaded = next_.get();
  }
  return loaded;
}

npz::Segs FolderRun::Impl::segment(const Engine& engine, const npz::Case& content, CaseReport& report,
                                   const std::function<void(std::int64_t, std::int64_t)>& step) const {
  npz::Segs segs(content);
  const std::string modality = options.modality.empty() ? npz::case_modality(report.name) : options.modality;
  if (content.objects() == 0) {
    segs.clear();
  } else if (content.is_volume) {
    VolumeOptions volume_options;
    volume_options.cancelled = options.cancelled;
    volume_options.modality = modality;
    volume_options.progress = [&](const VolumeProgress& p) { step(p.done, p.total); };
    for (const VolumeStats& s :
         engine.segment_volume(content.volume(), content.boxes3d, segs.volume(), volume_options)) {
      if (s.voxels == 0) ++report.empty_objects;
    }
  } else {
    for (const MaskStats& s :
         engine.segment(content.image(), content.boxes, segs.image(), {options.cancelled, modality})) {
      if (s.area == 0) ++report.empty_objects;
    }
  }
  return segs;
}

void FolderRun::Impl::run_case(const Engine& engine, std::size_t index) {
  CaseReport report;
  report.name = cases.pending[index];
  const auto step = [&](std::int64_t done, std::int64_t total) {
    if (!options.progress) return;
    options.progress(
        {static_cast<std::int64_t>(index), static_cast<std::int64_t>(cases.pending.size()), report.name, done, total});
  };
  step(0, 0);
  Loaded loaded = take(index);
  report.read_s = loaded.seconds;
  read_ahead(index + 1, options.ahead_bytes);
  if (!loaded.content) {
    report.status = CaseStatus::failed;
    report.message = loaded.fault;
    join_writer();
    settle(std::move(report));
    return;
  }
  report.objects = loaded.content->objects();
  report.slices = loaded.content->depth;
  std::shared_ptr<const npz::Segs> segs;
  const Stopwatch watch;
  try {
    segs = at_edge("segmenting",
                   [&] { return std::make_shared<const npz::Segs>(segment(engine, *loaded.content, report, step)); });
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& e) {
    report.status = CaseStatus::failed;
    report.message = e.what();
  }
  report.segment_s = watch.seconds();
  loaded.content.reset();
  join_writer();
  if (segs) {
    write(std::move(report), std::move(segs));
  } else {
    settle(std::move(report));
  }
}

void FolderRun::Impl::write(CaseReport report, std::shared_ptr<const npz::Segs> segs) {
  const std::string path = platform::in_folder(options.output, report.name);
  const bool behind = segs->npy().size() <= options.ahead_bytes;
  writer_ = std::async(std::launch::async, [report = std::move(report), path, segs = std::move(segs)]() mutable {
    CaseReport done = save(std::move(report), path, *segs);
    segs.reset();
    return done;
  });
  if (!behind) join_writer();
}

void FolderRun::Impl::join_writer() {
  if (writer_.valid()) settle(writer_.get());
}

void FolderRun::Impl::settle(CaseReport report) {
  switch (report.status) {
    case CaseStatus::done:
      ++report_.done;
      break;
    case CaseStatus::skipped:
      ++report_.skipped;
      break;
    default:
      ++report_.failed;
  }
  times.add(report);
  if (options.finished) options.finished(report);
  report_.cases.push_back(std::move(report));
}

void FolderRun::Impl::check_process() const {
  if (platform::process_id() == process) return;
  throw Unsupported(
      "run: this FolderRun was made before fork, and what reads ahead for it is not in this process; make it in the "
      "child");
}

FolderReport FolderRun::Impl::run(const Engine* engine) {
  if (std::exchange(started, true)) throw InvalidArgument("run: got a second call, expected one; make a new FolderRun");
  const Stopwatch watch;
  for (CaseReport& settled : cases.settled) settle(std::move(settled));
  for (std::size_t i = 0; i < cases.pending.size() && engine != nullptr; ++i) {
    report_.cancelled = cancelled();
    if (report_.cancelled) break;
    try {
      run_case(*engine, i);
    } catch (const Cancelled&) {
      report_.cancelled = true;
      break;
    }
  }
  join_writer();
  if (next_.valid()) next_.wait();
  std::sort(report_.cases.begin(), report_.cases.end(),
            [](const CaseReport& a, const CaseReport& b) { return a.name < b.name; });
  report_.csv_fault = times.fault();
  report_.wall_s = watch.seconds();
  return std::move(report_);
}

FolderRun::FolderRun(FolderOptions options)
    : impl_(at_edge("listing the cases", [&] { return std::make_unique<Impl>(std::move(options)); })) {}
FolderRun::~FolderRun() {
  // In a forked child the threads that read and write do not exist, and waiting for them would hang.
  if (impl_ && platform::process_id() != impl_->process) {
    const Impl* left_alone = impl_.release();
    static_cast<void>(left_alone);
  }
}
FolderRun::FolderRun(FolderRun&&) noexcept = default;
FolderRun& FolderRun::operator=(FolderRun&&) noexcept = default;

std::int64_t FolderRun::pending() const { return static_cast<std::int64_t>(impl_->cases.pending.size()); }
std::int64_t FolderRun::size() const { return pending() + static_cast<std::int64_t>(impl_->cases.settled.size()); }

FolderReport FolderRun::run(const Engine& engine) {
  return at_edge("run", [&] {
    impl_->check_process();
    static_cast<void>(engine.cache_stats());  // Unsupported, once and not case by case, if the engine came through fork
    return impl_->run(&engine);
  });
}

FolderReport FolderRun::run() {
  impl_->check_process();
  if (pending() > 0) {
    throw InvalidArgument("run: got no engine and " + std::to_string(pending()) + " cases to do, expected an engine");
  }
  return at_edge("run", [&] { return impl_->run(nullptr); });
}

FolderReport run_folder(const Engine& engine, FolderOptions options) {
  return FolderRun(std::move(options)).run(engine);
}

}  // namespace medsam
