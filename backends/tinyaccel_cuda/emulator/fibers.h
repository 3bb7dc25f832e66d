// Fibers: one a CUDA thread, switched by hand; which one runs, and how it ends with a report.
// Included by emulator.cpp alone.
#pragma once

#include <csetjmp>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>

#include "protocol.h"

struct uint3 { unsigned x, y, z; };
typedef void (*Entry)(void**);

extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));  // where we are loaded

namespace {

constexpr unsigned kThreads = 1024, kLanes = 32, kWarps = kThreads / kLanes;
constexpr size_t kStack = 256 * 1024, kStackReserve = 64 * 1024;

enum State { READY, STALLED, AT_BARRIER, AT_WARP, DONE };

struct Fiber {
  jmp_buf resume_point;
  ucontext_t start;
  bool started;
  State state;
  uint3 index;
  unsigned id, warp, lane;
  char* stack;
  const char* file;  // where it waits
  int line;
  int predicate, votes;
  unsigned mask, present;
  int operation;
  bool orders;
  uint64_t sent, received[kLanes];
  Site stalled_at;
  unsigned stalled_bytes;
  uint64_t stalled_address;
};

Fiber fibers[kThreads];
char* stacks;
jmp_buf host;
Fiber* current;
unsigned thread_count;
const Request* request;
Report* report;
Entry entry;
uint3 block_index, block_size, grid_size;
uint64_t accesses, steps;
bool polling;

// _setjmp and _longjmp switch without the two system calls that swapcontext makes; a context is
// used only to step onto a fresh stack.
void suspend() {
  if (_setjmp(current->resume_point) == 0) _longjmp(host, 1);
}

void settle_write();

void fiber_main() {
  for (;;) {
    entry(request->arguments);
    settle_write();
    current->state = DONE;
    suspend();
  }
}

void enter(Fiber& fiber) {
  current = &fiber;
  if (_setjmp(host) != 0) return;
  if (fiber.started) _longjmp(fiber.resume_point, 1);
  fiber.started = true;
  setcontext(&fiber.start);
}

bool interrupted() {
  steps = 0;
  if (request->interrupted()) report->bug = INTERRUPTED;
  return report->bug == INTERRUPTED;
}

// Runs a thread until it waits, ends or fails. Python is called from here, on its own stack.
void resume(Fiber& fiber) {
  do {
    polling = false;
    enter(fiber);
  } while (polling && !interrupted());
}

void prepare(Fiber& fiber) {
  if (!(fiber.started && fiber.state == DONE)) {  // new, or left in the middle by an error
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack;
    fiber.start.uc_stack.ss_size = kStack;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, fiber_main, 0);
    fiber.started = false;
  }
  fiber.state = READY;
}

// ---- reports -------------------------------------------------------------------------------------
Site code_site(const void* caller) {
  // A return address points behind the call; one byte back lies in the call's own line.
  return {reinterpret_cast<uint64_t>(caller) - reinterpret_cast<uint64_t>(__ehdr_start) - 1, nullptr, 0};
}

void copy(unsigned (&to)[3], const uint3& from) { to[0] = from.x, to[1] = from.y, to[2] = from.z; }

void describe(Bug bug, const Fiber& fiber, const Site& site) {
  report->bug = bug;
  copy(report->block, block_index);
  copy(report->thread, fiber.index);
  report->site = site;
}

[[noreturn]] void stop() {  // the thread is never resumed
  _longjmp(host, 1);
}

bool make_stacks() {
  if (stacks) return true;
  void* memory = mmap(nullptr, kThreads * kStack, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  stacks = static_cast<char*>(memory);
  for (unsigned i = 0; i < kThreads; ++i) fibers[i].stack = stacks + i * kStack;
  return true;
}

}  // namespace
