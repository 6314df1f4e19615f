// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/stand_in/cuda_runtime.hpp"

#include <cstdlib>
#include <cstring>

std::atomic<int> medsam::testing::kernels_compiled{0};

namespace {

using medsam::testing::StandInStream;
using medsam::testing::stream_of;
using medsam::testing::Work;

struct Graph {
  std::vector<Work> recorded;
};
std::atomic<int> g_launches{0};
std::atomic<std::int64_t> g_to_host{0}, g_to_device{0};
thread_local int current_device = -1;

cudaError_t allocate(void** out, std::size_t bytes) {
  if (current_device != 0) return cudaErrorInvalidDevice;  // an entry that forgot to choose the device
  *out = std::aligned_alloc(256, (bytes / 256 + 1) * 256);
  std::memset(*out, 0xff, bytes);  // NaN, so that memory nobody filled is seen
  return cudaSuccess;
}

void count(std::size_t bytes, cudaMemcpyKind kind) {
  if (kind == cudaMemcpyDeviceToHost) g_to_host += static_cast<std::int64_t>(bytes);
  if (kind == cudaMemcpyHostToDevice) g_to_device += static_cast<std::int64_t>(bytes);
}

void free_now(void* data) { std::free(data); }

}  // namespace

extern "C" {

__attribute__((visibility("default"))) medsam::testing::BusCounts medsam_stand_in_bus() {
  return {g_to_host.load(), g_to_device.load(), g_launches.load(), medsam::testing::kernels_compiled.load()};
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "stand-in for a GPU");
  properties->major = 8;
  properties->minor = 9;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = std::getenv("MEDSAM_STAND_IN_WITHOUT_POOLS") == nullptr ? 1 : 0;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "stand-in error"; }
const char* cudaGetErrorString(cudaError_t) { return "of the stand-in"; }

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
  *pool = reinterpret_cast<cudaMemPool_t>(&g_launches);
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void** out, std::size_t bytes, cudaMemPool_t, cudaStream_t) {
  return allocate(out, bytes);
}
cudaError_t cudaMalloc(void** out, std::size_t bytes) { return allocate(out, bytes); }
cudaError_t cudaMallocHost(void** out, std::size_t bytes) { return allocate(out, bytes); }
cudaError_t cudaFreeAsync(void* data, cudaStream_t) {
  free_now(data);
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  free_now(data);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* data) {
  free_now(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  count(bytes, kind);
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  count(bytes, kind);
  stream_of(stream).queued.emplace_back([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  stream_of(stream).queued.emplace_back([=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(new StandInStream());
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete &stream_of(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  for (const Work& work : stream_of(stream).queued) work();
  stream_of(stream).queued.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  // What was queued before goes ahead, as on a device; only what comes now is recorded.
  static_cast<void>(cudaStreamSynchronize(stream));
  stream_of(stream).capturing = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  auto* made = new Graph();
  made->recorded.swap(stream_of(stream).queued);
  stream_of(stream).capturing = false;
  *graph = reinterpret_cast<cudaGraph_t>(made);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  *out = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  ++g_launches;
  for (const Work& work : reinterpret_cast<Graph*>(graph)->recorded) stream_of(stream).queued.push_back(work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}

}  // extern "C"
