// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A small annotator: open an image or a volume, drag boxes, click, scroll, correct, propagate, undo, save.
//   qt_annotator BUNDLE [FILE] [--precision P] [--threads N] [--modality M] [--window W]
// For tests and screenshots, without a screen: QT_QPA_PLATFORM=offscreen and --script (scripted_run.hpp).
#include <QApplication>
#include <QCommandLineParser>
#include <QMessageBox>
#include <cstdio>
#include <exception>

#include "scripted_run.hpp"
#include "session_controller.hpp"
#include "window.hpp"

namespace {

int run(const QApplication& app) {
  QCommandLineParser parser;
  parser.setApplicationDescription("Draw, correct and save objects of an image or a volume.");
  parser.addHelpOption();
  parser.addPositionalArgument("bundle", "Folder of the model.");
  parser.addPositionalArgument("file", "Image (PNG, JPEG, BMP) or volume (NIfTI) to open.", "[file]");
  const QCommandLineOption precision("precision", "As EngineOptions::precision.", "precision", "auto");
  const QCommandLineOption threads("threads", "Inference threads, 0 = all.", "threads", "0");
  const QCommandLineOption modality("modality", "DICOM's code of the modality: CT, MR, ...", "modality");
  const QCommandLineOption window_name("window", "As WindowOptions::window: abdomen, 1500,-600, ...", "window");
  const QCommandLineOption script("script", "Does these steps and ends.", "steps");
  parser.addOptions({precision, threads, modality, window_name, script});
  parser.process(app);
  const QStringList arguments = parser.positionalArguments();
  const bool scripted = parser.isSet(script);
  if (arguments.isEmpty() || (scripted && arguments.size() < 2)) parser.showHelp(2);

  medsam::EngineOptions options;
  options.precision = parser.value(precision).toStdString();
  options.threads = parser.value(threads).toInt();
  SessionController controller(arguments[0].toStdString(), options);
  Window window(&controller, {parser.value(window_name).toStdString(), parser.value(modality).toStdString()});
  window.resize(1100, 760);
  window.show();
  if (scripted) {
    window.ask_before_losing(false);
    new ScriptedRun(&window, &controller, parser.value(script));
  }
  if (arguments.size() > 1) window.open(arguments[1]);
  return QApplication::exec();
}

}  // namespace

int main(int argc, char** argv) {
  const QApplication app(argc, argv);
  try {
    return run(app);
  } catch (const std::exception& error) {  // the bundle, its options
    std::fprintf(stderr, "qt_annotator: %s\n", error.what());
    if (QGuiApplication::platformName() != "offscreen") QMessageBox::critical(nullptr, "qt_annotator", error.what());
    return 1;
  }
}
