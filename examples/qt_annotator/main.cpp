// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A small annotator: open an image or a volume, drag a box, see the mask while the box moves.
//   qt_annotator BUNDLE [FILE] [--precision P] [--threads N]
// For tests and screenshots, without a screen: QT_QPA_PLATFORM=offscreen and
//   --drag X0,Y0,X1,Y1 --save PICTURE.png
#include <QApplication>
#include <QCommandLineParser>
#include <QMessageBox>
#include <QStatusBar>
#include <cstdio>
#include <exception>

#include "scripted_drag.hpp"
#include "session.hpp"
#include "window.hpp"

namespace {

// "X0,Y0,X1,Y1", ends inclusive; an invalid rectangle for anything else.
QRect to_box(const QString& text) {
  const QStringList words = text.split(',');
  if (words.size() != 4) return {};
  return {QPoint(words[0].toInt(), words[1].toInt()), QPoint(words[2].toInt(), words[3].toInt())};
}

int run(QApplication& app) {
  QCommandLineParser parser;
  parser.setApplicationDescription("Drag a box on an image or a volume and see the object in it.");
  parser.addHelpOption();
  parser.addPositionalArgument("bundle", "Folder of the model.");
  parser.addPositionalArgument("file", "Image (PNG, JPEG, BMP) or volume (NIfTI) to open.", "[file]");
  const QCommandLineOption precision("precision", "As EngineOptions::precision.", "precision", "auto");
  const QCommandLineOption threads("threads", "Inference threads, 0 = all.", "threads", "0");
  const QCommandLineOption drag("drag", "Drags this box and ends.", "x0,y0,x1,y1");
  const QCommandLineOption save("save", "With --drag: where the window's picture goes.", "picture.png");
  parser.addOptions({precision, threads, drag, save});
  parser.process(app);
  const QStringList arguments = parser.positionalArguments();
  if (arguments.isEmpty()) parser.showHelp(2);

  medsam::EngineOptions options;
  options.precision = parser.value(precision).toStdString();
  options.threads = parser.value(threads).toInt();
  Session session(arguments[0].toStdString(), options);
  Window window(&session);
  window.resize(900, 720);
  window.show();
  if (parser.isSet(drag)) {
    const QRect box = to_box(parser.value(drag));
    if (arguments.size() < 2 || !box.isValid() || !parser.isSet(save)) parser.showHelp(2);
    new ScriptedDrag(&window, &session, box, parser.value(save));
  }
  if (arguments.size() > 1 && !window.open(arguments[1]) && parser.isSet(drag)) {
    std::fprintf(stderr, "qt_annotator: %s\n", qPrintable(window.statusBar()->currentMessage()));
    return 1;
  }
  return QApplication::exec();
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  try {
    return run(app);
  } catch (const std::exception& error) {  // the bundle, its options
    std::fprintf(stderr, "qt_annotator: %s\n", error.what());
    if (QGuiApplication::platformName() != "offscreen") QMessageBox::critical(nullptr, "qt_annotator", error.what());
    return 1;
  }
}
