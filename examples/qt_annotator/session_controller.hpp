// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The session behind the window: one thread that makes its calls, in order, so that the window never waits.
#pragma once

#include <medsam/session.hpp>

#include <QImage>
#include <QObject>
#include <QRect>
#include <QThread>
#include <QTimer>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "picture.hpp"

/// What the session holds after a call. A call that failed has changed nothing.
struct SessionView {
  QString call;   ///< What was done: "box", "undo", ...
  QString error;  ///< The library's message; empty where the call succeeded.
  std::vector<medsam::SessionObject> objects;
  std::shared_ptr<const std::vector<std::uint8_t>> labels;  ///< (D, H, W), k + 1 where objects[k] is.
  medsam::VoxelBox changed;
  std::int64_t undo_steps = 0, redo_steps = 0;
  double ms = 0;  ///< How long the call took.
};
Q_DECLARE_METATYPE(SessionView)

/// All methods are called on the thread of the window, and answered there by signals.
class SessionController : public QObject {
  Q_OBJECT

 public:
  using Call = std::function<medsam::VoxelBox(medsam::Session&)>;
  static constexpr std::size_t kMostObjects = 255;  ///< Labels are bytes.

  /// Loads the bundle. medsam::Error.
  SessionController(const std::string& bundle, const medsam::EngineOptions& options);
  /// Cancels what can be, and waits for the call that is at work.
  ~SessionController() override;

  /// Reads a file and begins a session on it. Emits opened() and changed(), or failed(): the session before stays then.
  void open(const QString& path, const Contrast& contrast);
  /// Makes a call. Emits changed().
  void call(const QString& name, Call call);
  /// A box that follows the mouse. Emits previewed() where its plane is encoded already and, of the `finished` one,
  /// changed(). Boxes that were overtaken while another call was at work are never asked about.
  void drag_box(const std::string& object, const QRect& box, const medsam::Plane& plane, bool finished);
  /// Gives up the box that is being dragged; the session does not know it yet.
  void cancel_drag();
  /// Carries an object through the planes. Emits progressed() meanwhile, and changed().
  void propagate(const std::string& object, const medsam::PropagateOptions& options);
  /// Ends every propagation that was asked for so far.
  void cancel();
  /// Writes the labels as NIfTI or, of an image, as what Qt writes (PNG). Emits saved() or failed(): never over the
  /// image that is open.
  void save_labels(const QString& path);
  /// Writes objects, prompts and masks. Emits saved() or failed(), likewise.
  void save_session(const QString& path);

  [[nodiscard]] bool busy() const { return pending_ > 0; }
  [[nodiscard]] const medsam::EngineInfo& info() const { return engine_->info(); }

 signals:
  void opened(const std::shared_ptr<const Picture>& picture);
  void changed(const SessionView& view);
  void previewed(const QImage& mask,
                 const medsam::Plane& plane);  ///< Of the plane's size, 1 where the object would be.
  void progressed(qint64 done, qint64 total);
  void encoding(qint64 encoded, qint64 total, bool idle);
  void saved(const QString& path);
  void failed(const QString& message);
  void busy_changed(bool busy);

 private:
  struct Drag {
    std::string object;
    QRect box;
    medsam::Plane plane;
    bool finished = false;
  };
  using Done = std::function<void()>;  // what the window's thread does afterwards
  void run(std::function<Done()> job);
  void submit(const Drag& drag);
  // On the worker's thread:
  Done answer(const QString& name, const Call& call);
  Done preview(const Drag& drag, const medsam::Box& box);
  void poll_encoding();
  void check_target(const QString& path) const;  // std::runtime_error: nothing may be saved there

  std::shared_ptr<const medsam::Engine> engine_;
  QThread thread_;
  QObject worker_;   // lives on thread_
  QTimer* poll_;     // likewise
  int pending_ = 0;  // jobs that were not answered yet
  std::optional<Drag> wanted_drag_;
  std::atomic<int> cancels_{0};
  // Only the worker's thread uses these:
  std::shared_ptr<const Picture> picture_;
  QString source_;  // the file that the picture was read from
  std::unique_ptr<medsam::Session> session_;
};
