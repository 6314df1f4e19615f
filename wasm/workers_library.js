// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// For emscripten's linker, in place of its own function: std::thread::hardware_concurrency() is the number of threads that
// can run, the caller among the workers that package/threads.js has started.
mergeInto(LibraryManager.library, {
  emscripten_num_logical_cores__deps: ["$PThread"],
  emscripten_num_logical_cores: function () {
    return PThread.unusedWorkers.length + PThread.runningWorkers.length + 1;
  },
});
