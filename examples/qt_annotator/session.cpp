// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session.hpp"

#include <QElapsedTimer>
#include <exception>
#include <utility>

namespace {

double milliseconds(const QElapsedTimer& timer) { return static_cast<double>(timer.nsecsElapsed()) / 1e6; }

}  // namespace

Session::Session(const std::string& bundle, const medsam::EngineOptions& options)
    : engine_(std::make_shared<medsam::Engine>(bundle, options)) {
  worker_.moveToThread(&thread_);
  thread_.start();
}

Session::~Session() {
  thread_.quit();
  thread_.wait();
}

void Session::show(std::shared_ptr<const Picture> picture, std::int64_t z) {
  wanted_slice_ = Slice{std::move(picture), z};
  wanted_box_.reset();
  next();
}

void Session::ask(const QRect& box) {
  wanted_box_ = box;
  next();
}

// Runs f on the worker's thread; what it returns runs here afterwards.
template <class F>
void Session::work(F f) {
  busy_ = true;
  QMetaObject::invokeMethod(&worker_, [this, f = std::move(f)] {
    std::function<void()> done;
    try {
      done = f();
    } catch (const std::exception& error) {
      done = [this, message = QString::fromUtf8(error.what())] { emit failed(message); };
    }
    QMetaObject::invokeMethod(this, [this, done = std::move(done)] {
      busy_ = false;
      done();
      next();
    });
  });
}

void Session::next() {
  if (busy_) return;
  if (wanted_slice_) {
    encode(*std::exchange(wanted_slice_, std::nullopt));
  } else if (wanted_box_ && embedding_.valid()) {
    predict(*std::exchange(wanted_box_, std::nullopt));
  }
}

void Session::encode(const Slice& slice) {
  embedding_ = {};
  work([this, engine = engine_, slice]() -> std::function<void()> {
    QElapsedTimer timer;
    timer.start();
    const medsam::ImageEmbedding embedding = engine->encode(slice.picture->slice(slice.z));
    return [this, embedding, ms = milliseconds(timer)] {
      if (wanted_slice_) return;  // overtaken
      embedding_ = embedding;
      emit encoded(ms);
    };
  });
}

void Session::predict(const QRect& box) {
  work([this, engine = engine_, embedding = embedding_, box]() -> std::function<void()> {
    QElapsedTimer timer;
    timer.start();
    medsam::Prompt prompt;
    prompt.box = medsam::Box{double(box.left()), double(box.top()), double(box.right()), double(box.bottom())};
    const medsam::Prediction prediction = engine->predict(embedding, {prompt});
    Mask mask{box, std::vector<std::uint8_t>(static_cast<std::size_t>(embedding.height() * embedding.width())), {}};
    mask.stats = prediction.write_mask(
        0, 0, {mask.pixels.data(), medsam::LabelType::u8, embedding.height(), embedding.width(), embedding.width()});
    mask.iou = double(prediction.iou_predictions()[0]);
    mask.ms = milliseconds(timer);
    return [this, mask] {
      if (!wanted_slice_) emit masked(mask);
    };
  });
}
