// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The engine behind the window: one thread that encodes and answers, so that the window never waits.
#pragma once

#include <medsam/engine.hpp>

#include <QObject>
#include <QRect>
#include <QThread>
#include <memory>
#include <optional>
#include <vector>

#include "picture.hpp"

/// A mask of the slice on the screen, and how long it took.
struct Mask {
  QRect box;
  std::vector<std::uint8_t> pixels;  ///< (H, W), 1 where the object is
  medsam::MaskStats stats;
  double iou = 0;  ///< the model's own estimate
  double ms = 0;   ///< from the embedding to the mask
};
Q_DECLARE_METATYPE(Mask)

/// Encodes slices and answers boxes, the newest wish first: a box that was overtaken while another was worked on is
/// never asked about.
class Session : public QObject {
  Q_OBJECT

 public:
  /// Loads the bundle. medsam::Error.
  Session(const std::string& bundle, const medsam::EngineOptions& options);
  ~Session() override;

  /// The slice to work on; `picture` is kept while it is needed. Emits encoded().
  void show(std::shared_ptr<const Picture> picture, std::int64_t z);
  /// Asks for the mask in a box, pixels with inclusive ends. Emits masked(), unless a newer box comes first.
  void ask(const QRect& box);

  [[nodiscard]] const medsam::EngineInfo& info() const { return engine_->info(); }

 signals:
  void encoded(double ms);  ///< Near 0 where the engine's cache had the slice.
  void masked(const Mask& mask);
  void failed(const QString& message);

 private:
  struct Slice {
    std::shared_ptr<const Picture> picture;
    std::int64_t z = 0;
  };
  void next();
  void encode(const Slice& slice);
  void predict(const QRect& box);
  template <class F>
  void work(F f);

  std::shared_ptr<const medsam::Engine> engine_;
  QThread thread_;
  QObject worker_;  // lives on thread_
  bool busy_ = false;
  std::optional<Slice> wanted_slice_;
  std::optional<QRect> wanted_box_;
  medsam::ImageEmbedding embedding_;  // of the slice on the screen
};
