// What Python and the emulator tell each other: the request for a launch, and the report of a bug.
// c_emulator.py has the same fields in the same order.
#pragma once

#include <cstdint>

enum Bug : int {
  NONE, OUT_OF_BOUNDS, UNINITIALISED, RACE, DIVERGENT_BARRIER, DEADLOCK, STACK_OVERFLOW, BAD_MASK,
  FAILED_ASSERT, INTERRUPTED,
};
enum RegionKind : int { BUFFER, SHARED, DYNAMIC, MODULE };
enum Order : int { FORWARD, REVERSED, SHUFFLED };

struct Region { char* begin; uint64_t bytes; int kind; };

struct Request {
  unsigned grid[3], block[3];
  int order;
  uint64_t seed;
  void** arguments;
  const Region* regions;
  int region_count;
  int (*interrupted)();
};

struct Site { uint64_t offset; const char* file; int line; };  // code offset, or file and line

struct Report {
  int bug;
  unsigned block[3], thread[3], other[3];
  int writes, other_writes;
  Site site, other_site;
  int region;          // which of the request's regions; -1: none is near
  int64_t offset;      // bytes from its beginning
  uint64_t address;
  unsigned bytes, here, elsewhere, exited;
  char text[200];
};
