// What a .cu file sees of CUDA when it is compiled for the host: its words, its types, its built-in
// functions. Everything that needs another thread (barriers, warps) is declared here and done in
// emulator.cpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __constant__ static

// A shared variable becomes a static one in a section of its own, so that its address says what it
// is. Before each stands a gap that belongs to nobody: running off the end of one array must never
// land in the next. `used` keeps the compiler from reasoning that an array nobody writes holds
// zeros: reading it is a bug to report.
#define TINYACCEL_SHARED static __attribute__((section("tinyaccel_shared"), used))
#define TINYACCEL_JOIN_(a, b) a##b
#define TINYACCEL_JOIN(a, b) TINYACCEL_JOIN_(a, b)
#define __shared__                                                             \
  TINYACCEL_SHARED char TINYACCEL_JOIN(tinyaccel_gap_, __COUNTER__)[4096];     \
  TINYACCEL_SHARED

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct int2 { int x, y; };
struct int3 { int x, y, z; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// ---- who am I -----------------------------------------------------------------------------------
// `const` is true although threads differ: within one call of the kernel the answer never changes.
extern "C" {
uint3 tinyaccel_thread_index() __attribute__((const));
uint3 tinyaccel_block_index() __attribute__((const));
uint3 tinyaccel_block_size() __attribute__((const));
uint3 tinyaccel_grid_size() __attribute__((const));
unsigned tinyaccel_lane() __attribute__((const));
}
#define threadIdx (tinyaccel_thread_index())
#define blockIdx (tinyaccel_block_index())
#define blockDim (tinyaccel_block_size())
#define gridDim (tinyaccel_grid_size())
constexpr int warpSize = 32;

// ---- barriers and warps -------------------------------------------------------------------------
extern "C" {
// Waits for the whole block; returns for how many threads the predicate held.
int tinyaccel_block_barrier(int predicate, const char* file, int line);
// Waits for the lanes of the mask; fills 32 values and returns which lanes brought one. Only
// `orders` (__syncwarp) makes earlier writes visible; CUDA promises no such thing for a shuffle.
unsigned tinyaccel_warp_meet(unsigned mask, uint64_t value, uint64_t* values, int operation,
                             bool orders, const char* file, int line);
void tinyaccel_atomic(const volatile void* address, unsigned bytes, bool reads, const void* caller);
}

// The default arguments are evaluated where the call stands: so a report can name the user's line.
#define TINYACCEL_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(TINYACCEL_SITE) { tinyaccel_block_barrier(0, file, line); }
static inline int __syncthreads_count(int predicate, TINYACCEL_SITE) {
  return tinyaccel_block_barrier(predicate, file, line);
}
static inline int __syncthreads_or(int predicate, TINYACCEL_SITE) {
  return tinyaccel_block_barrier(predicate, file, line) != 0;
}
static inline int __syncthreads_and(int predicate, TINYACCEL_SITE) {
  return tinyaccel_block_barrier(!predicate, file, line) == 0;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

static inline void __syncwarp(unsigned mask = ~0u, TINYACCEL_SITE) {
  tinyaccel_warp_meet(mask, 0, nullptr, 0, true, file, line);
}

namespace tinyaccel {
template <class T>
__attribute__((no_sanitize("thread"))) T shuffle(unsigned mask, T value, int source, bool inside,
                                                 const char* file, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  uint64_t sent = 0, values[32];
  memcpy(&sent, &value, sizeof value);
  unsigned present = tinyaccel_warp_meet(mask, sent, values, 1, false, file, line);
  if (inside && (present >> source & 1u)) memcpy(&value, &values[source], sizeof value);
  return value;  // a lane outside the segment, or absent, leaves the caller its own value
}
__attribute__((no_sanitize("thread"))) static inline unsigned vote(unsigned mask, int predicate,
                                                                   const char* file, int line) {
  uint64_t values[32];
  unsigned present = tinyaccel_warp_meet(mask, predicate != 0, values, 2, false, file, line);
  unsigned yes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((present >> lane & 1u) && values[lane]) yes |= 1u << lane;
  return yes | (predicate ? 1u << tinyaccel_lane() : 0);
}
}  // namespace tinyaccel

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, TINYACCEL_SITE) {
  int base = static_cast<int>(tinyaccel_lane()) & -width;
  return tinyaccel::shuffle(mask, value, base + (source & (width - 1)), true, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, TINYACCEL_SITE) {
  int lane = static_cast<int>(tinyaccel_lane()), source = lane - static_cast<int>(delta);
  return tinyaccel::shuffle(mask, value, source & 31, source >= (lane & -width), file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, TINYACCEL_SITE) {
  int lane = static_cast<int>(tinyaccel_lane()), source = lane + static_cast<int>(delta);
  return tinyaccel::shuffle(mask, value, source & 31, source < (lane & -width) + width, file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, TINYACCEL_SITE) {
  int lane = static_cast<int>(tinyaccel_lane()), source = lane ^ bits;
  return tinyaccel::shuffle(mask, value, source & 31, source < (lane & -width) + width, file, line);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate, TINYACCEL_SITE) {
  return tinyaccel::vote(mask, predicate, file, line);
}
static inline int __any_sync(unsigned mask, int predicate, TINYACCEL_SITE) {
  return tinyaccel::vote(mask, predicate, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, TINYACCEL_SITE) {
  return tinyaccel::vote(mask, !predicate, file, line) == 0;
}

// ---- atomics ------------------------------------------------------------------------------------
// Fibers never interrupt one another inside these, so plain arithmetic is atomic. They stay calls
// (noinline) so that their return address is the user's line.
namespace tinyaccel {
template <class T> struct same { using type = T; };
template <class T> using plain = typename same<T>::type;  // keeps a literal from deciding T
}  // namespace tinyaccel
#define TINYACCEL_ATOMIC(name, reads, expression)                                      \
  template <class T>                                                                   \
  __attribute__((noinline, no_sanitize("thread"))) T name(T* address,                  \
                                                          tinyaccel::plain<T> value) { \
    tinyaccel_atomic(address, sizeof(T), reads, __builtin_return_address(0));          \
    T old = *address;                                                                  \
    *address = (expression);                                                           \
    return old;                                                                        \
  }
TINYACCEL_ATOMIC(atomicAdd, true, old + value)
TINYACCEL_ATOMIC(atomicSub, true, old - value)
TINYACCEL_ATOMIC(atomicMin, true, value < old ? value : old)
TINYACCEL_ATOMIC(atomicMax, true, old < value ? value : old)
TINYACCEL_ATOMIC(atomicAnd, true, old & value)
TINYACCEL_ATOMIC(atomicOr, true, old | value)
TINYACCEL_ATOMIC(atomicXor, true, old ^ value)
TINYACCEL_ATOMIC(atomicExch, false, value)
TINYACCEL_ATOMIC(atomicInc, true, old >= value ? 0 : old + 1)
TINYACCEL_ATOMIC(atomicDec, true, old == 0 || old > value ? value : old - 1)
template <class T>
__attribute__((noinline, no_sanitize("thread"))) T atomicCAS(T* address,
                                                             tinyaccel::plain<T> expected,
                                                             tinyaccel::plain<T> value) {
  tinyaccel_atomic(address, sizeof(T), true, __builtin_return_address(0));
  T old = *address;
  if (old == expected) *address = value;
  return old;
}

// ---- arithmetic ---------------------------------------------------------------------------------
// CUDA's min and max take two different types; NaN loses, as in fminf.
template <class A, class B> static inline std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmin(static_cast<T>(a), static_cast<T>(b));
  else return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B> static inline std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmax(static_cast<T>(a), static_cast<T>(b));
  else return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
// The hardware's fast approximations, here exact: never less accurate than the GPU. Macros, because
// glibc declares functions of these names for itself.
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
namespace tinyaccel {
template <class To, class From> To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace tinyaccel
static inline float __int_as_float(int x) { return tinyaccel::bits<float>(x); }
static inline int __float_as_int(float x) { return tinyaccel::bits<int>(x); }
static inline float __uint_as_float(unsigned x) { return tinyaccel::bits<float>(x); }
static inline unsigned __float_as_uint(float x) { return tinyaccel::bits<unsigned>(x); }
#define __ldg(pointer) (*(pointer))

// ---- the way in ---------------------------------------------------------------------------------
namespace tinyaccel {
// Not instrumented: the arguments lie in Python's memory, which is none of the kernel's.
template <class... P, size_t... I>
__attribute__((no_sanitize("thread"))) void call(void (*kernel)(P...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_reference_t<P>*>(arguments[I])...);
}
template <class... P>
__attribute__((no_sanitize("thread"))) void call(void (*kernel)(P...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<P...>{});
}
}  // namespace tinyaccel
