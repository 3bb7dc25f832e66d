// Runs a CUDA kernel on the host: one fiber a thread, blocks one after another, and a check before
// every access to memory.
//
// The .cu file is compiled with -fsanitize=thread, which puts a call (__tsan_read4, ...) before each
// load and store. ThreadSanitizer itself is not linked: the end of this file answers those calls.
// The emulator knows the kernel's buffers and shared arrays, so an address outside them is reported
// before it is touched; and it keeps, for each byte of shared memory, who last wrote and read it, so
// that two threads that meet there without a barrier between them are reported too. No luck is
// involved: a race is found in every order of the threads, also where the result happens to be right.
#include <cstring>
#include <numeric>
#include <vector>

#include "accesses.h"
#include "fibers.h"
#include "protocol.h"

namespace {

constexpr size_t kDynamic = 227 * 1024;  // the most shared memory that any current GPU has
constexpr uint64_t kPoll = 1 << 20;      // basic blocks until Python is asked for a Ctrl-C

// ---- the scheduler -------------------------------------------------------------------------------
uint64_t random_state;

unsigned random_below(unsigned bound) {  // splitmix64
  uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<unsigned>((z ^ (z >> 31)) % bound);
}

void shuffle(std::vector<unsigned>& items) {
  for (unsigned i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random_below(i)]);
}

// Releases every group of lanes that has met; true if there was one.
bool release_warps() {
  bool released = false;
  for (unsigned first = 0; first < thread_count; first += kLanes) {
    unsigned lanes = thread_count - first < kLanes ? thread_count - first : kLanes;
    for (unsigned l = 0; l < lanes; ++l) {
      Fiber& leader = fibers[first + l];
      if (leader.state != AT_WARP) continue;
      unsigned present = 0;
      bool complete = true;
      for (unsigned o = 0; o < lanes; ++o) {
        Fiber& other = fibers[first + o];
        if (!(leader.mask >> o & 1u) || other.state == DONE) continue;
        if (other.state == AT_WARP && other.mask == leader.mask &&
            other.operation == leader.operation)
          present |= 1u << o;
        else
          complete = false;
      }
      if (!complete) continue;
      released = true;
      auto& known = clocks[leader.warp];
      uint32_t joined[kLanes] = {};
      for (unsigned o = 0; o < lanes; ++o) {
        if (!(present >> o & 1u)) continue;
        if (leader.orders) ++known[o][o];
        for (unsigned k = 0; k < kLanes; ++k)
          joined[k] = known[o][k] > joined[k] ? known[o][k] : joined[k];
      }
      for (unsigned o = 0; o < lanes; ++o) {
        if (!(present >> o & 1u)) continue;
        Fiber& other = fibers[first + o];
        for (unsigned k = 0; k < lanes; ++k) other.received[k] = fibers[first + k].sent;
        other.present = present;
        other.state = READY;
        if (leader.orders) memcpy(known[o], joined, sizeof joined);
      }
    }
  }
  return released;
}

void stuck(Bug bug, const Fiber& here, const Fiber* elsewhere, unsigned waiting, unsigned away,
           unsigned exited) {
  describe(bug, here, {0, here.file, here.line});
  report->here = waiting, report->elsewhere = away, report->exited = exited;
  if (elsewhere) {
    copy(report->other, elsewhere->index);
    report->other_site = {0, elsewhere->file, elsewhere->line};
  }
}

bool same_place(const Fiber& a, const Fiber& b) {
  return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

// All threads have stopped somewhere: lets them go on, or reports why that is impossible.
void release() {
  Fiber *at_barrier = nullptr, *at_warp = nullptr, *stalled = nullptr, *exited = nullptr;
  unsigned barrier = 0, warp = 0, done = 0;
  for (unsigned i = 0; i < thread_count; ++i) {
    Fiber& fiber = fibers[i];
    if (fiber.state == AT_BARRIER && !barrier++) at_barrier = &fiber;
    if (fiber.state == AT_WARP && !warp++) at_warp = &fiber;
    if (fiber.state == DONE && !done++) exited = &fiber;
    if (fiber.state == STALLED && !stalled) stalled = &fiber;
  }
  if (stalled) {
    describe(UNINITIALISED, *stalled, stalled->stalled_at);
    report->bytes = stalled->stalled_bytes;
    report->address = stalled->stalled_address;
    for (int r = 0; r < request->region_count; ++r) {
      char* address = reinterpret_cast<char*>(stalled->stalled_address);
      if (!inside(request->regions[r], address, 1)) continue;
      report->region = r;
      report->offset = address - request->regions[r].begin;
    }
    return;
  }
  if (release_warps()) return;
  if (warp) {
    stuck(DEADLOCK, *at_warp, at_barrier, warp, barrier, done);
    return;
  }
  if (done) {
    stuck(DIVERGENT_BARRIER, *at_barrier, exited, barrier, 0, done);
    report->other_site = {0, nullptr, 0};
    return;
  }
  int votes = 0;
  unsigned same = 0;
  Fiber* elsewhere = nullptr;
  for (unsigned i = 0; i < thread_count; ++i) {
    if (same_place(fibers[i], *at_barrier)) ++same;
    else if (!elsewhere) elsewhere = &fibers[i];
    votes += fibers[i].predicate != 0;
  }
  if (elsewhere) {
    stuck(DIVERGENT_BARRIER, *at_barrier, elsewhere, same, barrier - same, 0);
    return;
  }
  for (unsigned i = 0; i < thread_count; ++i) fibers[i].votes = votes, fibers[i].state = READY;
  ++epoch;
}

void run_block(std::vector<unsigned>& order) {
  block_epoch = ++epoch;
  for (unsigned i = 0; i < thread_count; ++i) prepare(fibers[i]);
  for (;;) {
    if (request->order == SHUFFLED) shuffle(order);
    unsigned done = 0;
    for (unsigned i : order) {
      if (fibers[i].state != READY) continue;
      resume(fibers[i]);
      if (report->bug) return;
    }
    for (unsigned i = 0; i < thread_count; ++i) done += fibers[i].state == DONE;
    if (done == thread_count) return;
    bool runnable = false;
    for (unsigned i = 0; i < thread_count; ++i) runnable |= fibers[i].state == READY;
    if (!runnable) release();
    steps += thread_count;  // so that a loop of nothing but barriers can be interrupted
    if (steps >= kPoll) interrupted();
    if (report->bug) return;
  }
}

}  // namespace

// ---- called by Python ----------------------------------------------------------------------------
extern "C" {

alignas(128) char tinyaccel_dynamic_shared[kDynamic];
void tinyaccel_entry(void** arguments);  // generated behind the .cu file's text

uint64_t tinyaccel_base() { return reinterpret_cast<uint64_t>(__ehdr_start); }
char* tinyaccel_dynamic() { return tinyaccel_dynamic_shared; }

// Returns 0, or 1 with the report filled in, or 2 if there is no memory for the stacks.
int tinyaccel_launch(const Request* asked, Report* answer) {
  if (!make_stacks()) return 2;
  request = asked, report = answer, entry = tinyaccel_entry;
  memset(report, 0, sizeof *report);
  const unsigned(&b)[3] = asked->block, (&g)[3] = asked->grid;
  block_size = {b[0], b[1], b[2]};
  grid_size = {g[0], g[1], g[2]};
  thread_count = b[0] * b[1] * b[2];
  pending.active = false;
  last_region = 0;
  accesses = steps = 0;
  random_state = asked->seed;
  if (epoch > UINT32_MAX / 2) shadows.clear(), epoch = 1;
  shadows.resize(asked->region_count);
  for (int r = 0; r < asked->region_count; ++r) {
    const Region& region = asked->regions[r];
    bool shared = region.kind == SHARED || region.kind == DYNAMIC;
    shadows[r].resize(shared ? region.bytes : 0);
    if (shared) memset(region.begin, 0xff, region.bytes);
  }
  for (unsigned i = 0; i < thread_count; ++i) {
    fibers[i].id = i, fibers[i].warp = i / kLanes, fibers[i].lane = i % kLanes;
    fibers[i].index = {i % b[0], i / b[0] % b[1], i / (b[0] * b[1])};
  }
  std::vector<unsigned> threads(thread_count), blocks;
  std::iota(threads.begin(), threads.end(), 0u);
  if (asked->order == REVERSED) std::iota(threads.rbegin(), threads.rend(), 0u);
  uint64_t count = uint64_t{g[0]} * g[1] * g[2];
  if (asked->order == SHUFFLED) {
    blocks.resize(count);
    std::iota(blocks.begin(), blocks.end(), 0u);
    shuffle(blocks);
  }
  for (uint64_t n = 0; n < count; ++n) {
    uint64_t i = asked->order == SHUFFLED ? blocks[n] : asked->order == REVERSED ? count - 1 - n : n;
    block_index = {static_cast<unsigned>(i % g[0]), static_cast<unsigned>(i / g[0] % g[1]),
                   static_cast<unsigned>(i / (uint64_t{g[0]} * g[1]))};
    run_block(threads);
    if (report->bug) return 1;
  }
  return 0;
}

// ---- called by the kernel (cuda_on_host.h) -------------------------------------------------------
uint3 tinyaccel_thread_index() { return current->index; }
uint3 tinyaccel_block_index() { return block_index; }
uint3 tinyaccel_block_size() { return block_size; }
uint3 tinyaccel_grid_size() { return grid_size; }
unsigned tinyaccel_lane() { return current->lane; }

int tinyaccel_block_barrier(int predicate, const char* file, int line) {
  settle_write();
  current->predicate = predicate;
  current->file = file, current->line = line;
  current->state = AT_BARRIER;
  suspend();
  return current->votes;
}

unsigned tinyaccel_warp_meet(unsigned mask, uint64_t value, uint64_t* values, int operation,
                             bool orders, const char* file, int line) {
  settle_write();
  current->file = file, current->line = line;
  if (!(mask >> current->lane & 1u)) {
    describe(BAD_MASK, *current, {0, file, line});
    report->here = mask;
    stop();
  }
  current->mask = mask, current->operation = operation, current->orders = orders;
  current->sent = value;
  current->state = AT_WARP;
  suspend();
  if (values) memcpy(values, current->received, sizeof current->received);
  return current->present;
}

void tinyaccel_atomic(const volatile void* address, unsigned bytes, bool reads, const void* caller) {
  check(const_cast<void*>(address), bytes, reads, true, true, caller);
}

// What the C library's assert() calls when it fails.
void __assert_fail(const char* expression, const char* file, unsigned line, const char*) {
  describe(FAILED_ASSERT, *current, {0, file, static_cast<int>(line)});
  strncpy(report->text, expression, sizeof report->text - 1);
  stop();
}

// ---- called by the compiler, before each access --------------------------------------------------
void __tsan_init() {}
void __tsan_func_exit() {}
void __tsan_func_entry(void* caller) {
  char here;
  if (current && &here < current->stack + kStackReserve) {
    describe(STACK_OVERFLOW, *current, code_site(caller));
    stop();
  }
}

// Once a basic block: a loop that touches no memory must be interruptible too. Only Python is asked,
// no other thread runs: this may be the middle of an atomic.
void __sanitizer_cov_trace_pc() {
  if (++steps < kPoll || !current) return;
  polling = true;
  suspend();
}

#define READ(name, bytes) \
  void name(void* p) { check(p, bytes, true, false, false, __builtin_return_address(0)); }
#define WRITE(name, bytes) \
  void name(void* p) { check(p, bytes, false, true, false, __builtin_return_address(0)); }
#define BOTH(bytes)                                                               \
  READ(__tsan_read##bytes, bytes) WRITE(__tsan_write##bytes, bytes)               \
  READ(__tsan_unaligned_read##bytes, bytes) WRITE(__tsan_unaligned_write##bytes, bytes) \
  READ(__tsan_volatile_read##bytes, bytes) WRITE(__tsan_volatile_write##bytes, bytes)   \
  READ(__tsan_unaligned_volatile_read##bytes, bytes)                              \
  WRITE(__tsan_unaligned_volatile_write##bytes, bytes)
BOTH(1) BOTH(2) BOTH(4) BOTH(8) BOTH(16)

void __tsan_read_range(void* p, unsigned long bytes) {
  check(p, static_cast<unsigned>(bytes), true, false, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, unsigned long bytes) {
  check(p, static_cast<unsigned>(bytes), false, true, false, __builtin_return_address(0));
}
// Clang calls these in place of the C library's functions.
void* __tsan_memcpy(void* to, const void* from, unsigned long bytes) {
  check(const_cast<void*>(from), bytes, true, false, false, __builtin_return_address(0));
  check(to, bytes, false, true, false, __builtin_return_address(0));
  return memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, unsigned long bytes) {
  check(const_cast<void*>(from), bytes, true, false, false, __builtin_return_address(0));
  check(to, bytes, false, true, false, __builtin_return_address(0));
  return memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, unsigned long bytes) {
  check(to, bytes, false, true, false, __builtin_return_address(0));
  return memset(to, value, bytes);
}

}  // extern "C"
