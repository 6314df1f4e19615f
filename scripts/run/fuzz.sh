#!/usr/bin/env bash
# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
# Builds the fuzz targets (preset `fuzz`) and runs each for some seconds: fuzz.sh JOBS SECONDS [PATTERN...], of their names.
# With FUZZ_PRESET=fuzz-32 they have 32-bit addresses, and their findings go to build/fuzz-32. The Python readers
# (fuzz/fuzz_readers.py, fuzz/fuzz_checkpoint.py) are targets too, read_nrrd and the like, and so is what the server takes from
# its clients (fuzz/fuzz_serve.py: serve_nnia, serve_protocol). New inputs go to build/fuzz/corpus, which later runs start
# from; what breaks a target goes to build/fuzz/findings. Ends with a line for each target, and with 1 when one found something.
# Without clang's libFuzzer the C++ targets are not run, without atheris the readers, and it says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=$1 seconds=$2 preset=${FUZZ_PRESET:-fuzz}
shift 2
out=build/$preset
# On 32-bit x86 a model's products are plain loops, with every comparison traced: 7 s for what takes 0.1 s else.
[ "$preset" = fuzz ] && slowest=20 || slowest=60
all=(fuzz_manifest fuzz_onnx fuzz_npz fuzz_embedding fuzz_weights fuzz_prompts fuzz_volume_store fuzz_kernels fuzz_session
  fuzz_session_file read_nrrd read_metaimage read_nifti read_dicom read_checkpoint serve_nnia serve_protocol)
targets=()
for pattern in "${@:-*}"; do
  known=${#targets[@]}
  for target in "${all[@]}"; do
    # shellcheck disable=SC2053  # a pattern
    [[ $target == $pattern ]] && targets+=("$target")
  done
  [ ${#targets[@]} -gt "$known" ] || { echo "fuzz: got $pattern, expected one of ${all[*]}, or a pattern of such" >&2; exit 2; }
done
mkdir -p "$out/findings"
# Each input becomes a file: in memory where there is such a folder.
if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
status=0

# run TARGET COMMAND...: one target for its seconds, and its line.
run() {
  local target=$1 outcome="no findings" dictionary=()
  shift
  [ -f "fuzz/$target.dict" ] && dictionary=(-dict="fuzz/$target.dict")
  "$@" -max_total_time="$seconds" -timeout="$slowest" -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$out/findings/$target-" "${dictionary[@]}" >"$out/$target.log" 2>&1 ||
    { outcome=FINDING status=1; tail -n 40 "$out/$target.log"; }
  local executions coverage
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log")
  coverage=$(grep -oE 'cov: [0-9]+' "$out/$target.log" | tail -n 1)
  echo "$preset: $target: ${executions:-0} executions in $seconds s, ${coverage:-no coverage}, $outcome"
}

readers=() compiled=()
for target in "${targets[@]}"; do
  case $target in read_* | serve_*) readers+=("$target") ;; *) compiled+=("$target") ;; esac
done
if [ ${#readers[@]} -gt 0 ]; then
  .venv/bin/python -c 'import atheris' 2>/dev/null ||
    .venv/bin/python scripts/release/requirements.py fuzz | xargs .venv/bin/python -m pip install --quiet --no-deps 2>/dev/null || true
  if .venv/bin/python -c 'import atheris, medsam_engine' 2>/dev/null; then
    for target in "${readers[@]}"; do
      case $target in
        read_checkpoint) program=(fuzz/fuzz_checkpoint.py) ;;
        serve_*) program=(fuzz/fuzz_serve.py "${target#serve_}") ;;
        *) program=(fuzz/fuzz_readers.py "${target#read_}") ;;
      esac
      run "$target" .venv/bin/python "${program[@]}" "$out/corpus/$target"
    done
  else
    echo "fuzz: readers skipped, no atheris for this Python, or the package is not installed (make build)"
  fi
fi
[ ${#compiled[@]} -gt 0 ] || exit $status

# The newest that has libFuzzer; the core captures structured bindings, which clang knows from 16 on.
compiler=
for candidate in clang++ clang++-{22,21,20,19,18,17,16}; do
  command -v "$candidate" >/dev/null || continue
  version=$("$candidate" -dumpversion)
  [ "${version%%.*}" -ge 16 ] || continue
  if echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    "$candidate" -x c++ - -fsanitize=fuzzer,address,undefined -o /dev/null 2>/dev/null; then
    compiler=$candidate
    break
  fi
done
if [ -z "$compiler" ]; then
  echo "fuzz: skipped, no clang++ 16 or newer with libFuzzer (apt: clang-16 libclang-rt-16-dev)"
  exit $status
fi

cmake --preset "$preset" -DCMAKE_CXX_COMPILER="$compiler" >"$out/configure.log" 2>&1 || { cat "$out/configure.log"; exit 1; }
cmake --build --preset "$preset" -j "$jobs" --target "${compiled[@]}" >"$out/build.log" 2>&1 || { tail -n 40 "$out/build.log"; exit 1; }

export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=0:max_allocation_size_mb=2048
export UBSAN_OPTIONS=print_stacktrace=1
for target in "${compiled[@]}"; do
  mkdir -p "$out/corpus/$target"
  run "$target" "$out/fuzz/$target" "$out/corpus/$target" "fuzz/corpus/$target"
done
exit $status
