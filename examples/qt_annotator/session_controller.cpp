// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session_controller.hpp"

#include <QElapsedTimer>
#include <QFileInfo>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "label_file.hpp"
#include "plane_view.hpp"

namespace {

constexpr int kPollMs = 200;

double milliseconds(const QElapsedTimer& timer) { return static_cast<double>(timer.nsecsElapsed()) / 1e6; }

SessionView look(const medsam::Session& session, const Picture& picture) {
  SessionView view;
  view.objects = session.objects();
  view.undo_steps = session.undo_steps();
  view.redo_steps = session.redo_steps();
  auto labels = std::make_shared<std::vector<std::uint8_t>>(static_cast<std::size_t>(picture.voxels()));
  session.labels({labels->data(), medsam::LabelType::u8, picture.depth, picture.height, picture.width, picture.width,
                  picture.height * picture.width});
  view.labels = std::move(labels);
  return view;
}

}  // namespace

SessionController::SessionController(const std::string& bundle, const medsam::EngineOptions& options)
    : engine_(std::make_shared<medsam::Engine>(bundle, options)), poll_(new QTimer(&worker_)) {
  poll_->setInterval(kPollMs);
  connect(poll_, &QTimer::timeout, &worker_, [this] { poll_encoding(); });
  connect(&thread_, &QThread::finished, poll_, &QTimer::stop, Qt::DirectConnection);  // on the timer's own thread
  worker_.moveToThread(&thread_);
  thread_.start();
}

SessionController::~SessionController() {
  cancel();
  thread_.quit();
  thread_.wait();
}

void SessionController::run(std::function<Done()> job) {
  if (++pending_ == 1) emit busy_changed(true);
  QMetaObject::invokeMethod(&worker_, [this, job = std::move(job)] {
    Done done;
    try {
      done = job();
    } catch (const std::exception& error) {
      done = [this, message = QString::fromUtf8(error.what())] { emit failed(message); };
    }
    QMetaObject::invokeMethod(this, [this, done = std::move(done)] {
      done();
      if (pending_ == 1 && wanted_drag_) submit(*std::exchange(wanted_drag_, std::nullopt));
      if (--pending_ == 0) emit busy_changed(false);
    });
  });
}

SessionController::Done SessionController::answer(const QString& name, const Call& call) {
  if (!session_) throw std::runtime_error("no image is open");
  QElapsedTimer timer;
  timer.start();
  QString error;
  medsam::VoxelBox changed_box;
  try {
    changed_box = call(*session_);
  } catch (const std::exception& raised) {
    error = QString::fromUtf8(raised.what());
  }
  const double ms = milliseconds(timer);
  SessionView view = look(*session_, *picture_);
  view.call = name;
  view.error = error;
  view.changed = changed_box;
  view.ms = ms;
  return [this, view = std::move(view)] { emit changed(view); };
}

void SessionController::open(const QString& path, const Contrast& contrast) {
  run([this, path, contrast]() -> Done {
    const auto picture = std::make_shared<const Picture>(read_picture(path, contrast));
    medsam::SessionOptions options;
    options.spacing_x = picture->spacing[0];
    options.spacing_y = picture->spacing[1];
    options.spacing_z = picture->spacing[2];
    options.modality = medsam::canonical_modality(contrast.modality).value_or(std::string());
    auto session = std::make_unique<medsam::Session>(engine_, picture->view(), options);
    SessionView view = look(*session, *picture);
    view.call = "open";
    session_ = std::move(session);
    picture_ = picture;
    source_ = path;
    poll_->start();
    return [this, picture, view = std::move(view)] {
      emit opened(picture);
      emit changed(view);
    };
  });
}

void SessionController::call(const QString& name, Call call) {
  run([this, name, call = std::move(call)] { return answer(name, call); });
}

void SessionController::drag_box(const std::string& object, const QRect& box, const medsam::Plane& plane,
                                 bool finished) {
  const Drag drag{object, box, plane, finished};
  wanted_drag_.reset();
  if (busy() && !finished) {
    wanted_drag_ = drag;
  } else {
    submit(drag);
  }
}

void SessionController::submit(const Drag& drag) {
  const medsam::Box box{static_cast<double>(drag.box.left()), static_cast<double>(drag.box.top()),
                        static_cast<double>(drag.box.right()), static_cast<double>(drag.box.bottom())};
  if (drag.finished) {
    return call("box", [drag, box](medsam::Session& session) { return session.add_box(drag.object, box, drag.plane); });
  }
  run([this, drag, box] { return preview(drag, box); });
}

// What cannot be previewed is not: the box itself says why when the button is released.
SessionController::Done SessionController::preview(const Drag& drag, const medsam::Box& box) {
  if (!session_) return [] {};
  const auto [columns, rows] = in_plane(drag.plane.axis);
  QImage mask(static_cast<int>(plane_count(*picture_, columns)), static_cast<int>(plane_count(*picture_, rows)),
              QImage::Format_Grayscale8);
  try {
    const medsam::LabelView out{mask.bits(), medsam::LabelType::u8, mask.height(), mask.width(), mask.bytesPerLine()};
    if (!session_->preview_box(box, drag.plane, out)) return [] {};
  } catch (const std::exception&) {
    return [] {};
  }
  return [this, drag, mask] { emit previewed(mask, drag.plane); };
}

void SessionController::cancel_drag() { wanted_drag_.reset(); }

void SessionController::propagate(const std::string& object, const medsam::PropagateOptions& asked) {
  medsam::PropagateOptions options = asked;
  options.progress = [this](const medsam::VolumeProgress& at) { emit progressed(at.done, at.total); };
  options.cancelled = [this, begun = cancels_.load()] { return cancels_ != begun; };
  call("propagate", [object, options](medsam::Session& session) { return session.propagate(object, options); });
}

void SessionController::cancel() { ++cancels_; }

void SessionController::check_target(const QString& path) const {
  if (!session_) throw std::runtime_error("no image is open");
  std::error_code none;  // where one of the two is not there, they are not the same file
  if (std::filesystem::equivalent(QFileInfo(path).filesystemFilePath(), QFileInfo(source_).filesystemFilePath(),
                                  none)) {
    throw std::runtime_error((path + ": it is the image that is open, expected another file").toStdString());
  }
}

void SessionController::save_labels(const QString& path) {
  run([this, path]() -> Done {
    check_target(path);
    write_labels(path, *look(*session_, *picture_).labels, *picture_);
    return [this, path] { emit saved(path); };
  });
}

void SessionController::save_session(const QString& path) {
  run([this, path]() -> Done {
    check_target(path);
    session_->save(path.toStdString());
    return [this, path] { emit saved(path); };
  });
}

void SessionController::poll_encoding() {
  if (!session_) return;
  const medsam::EncodingProgress progress = session_->encoding();
  emit encoding(progress.encoded, progress.total, progress.idle);
}
