// The check before each access to memory: is it inside an array, and, in shared memory, is there a
// barrier since another thread was there? Included by emulator.cpp alone.
#pragma once

#include <vector>

#include "fibers.h"

namespace {

constexpr uint64_t kSlice = 1 << 18;  // accesses until another thread gets a turn

struct Access { uint32_t epoch, clock, code; uint16_t thread; bool atomic; };

// Readers: the last; the one before it if another lane of the same warp; one of another warp. That
// is enough: any write races either with another warp's read, or with one of two lanes.
struct Shadow { Access writer, reader, fellow, stranger; };

std::vector<std::vector<Shadow>> shadows;  // one a region; empty for those that aren't shared
uint32_t epoch = 1, block_epoch = 1;       // epoch grows at each barrier and each block
uint32_t clocks[kWarps][kLanes][kLanes];   // [warp][lane][other]: what a lane knows of another
int last_region;

bool in_epoch(const Access& access) { return access.epoch == epoch; }

bool unordered(const Access& access) {
  if (!in_epoch(access) || access.thread == current->id) return false;
  unsigned warp = access.thread / kLanes, lane = access.thread % kLanes;
  return warp != current->warp || clocks[warp][current->lane][lane] <= access.clock;
}

struct PendingWrite {  // two threads write the same byte: harmless if it is the same value
  bool active;
  unsigned bytes;
  char* address;
  char before[16];
  Access other;
  Site site;
  int region;
  int64_t offset;
} pending;

void race(const Access& other, bool other_writes, const Site& site, bool writes, int region,
          int64_t offset, unsigned bytes) {
  describe(RACE, *current, site);
  copy(report->other, fibers[other.thread].index);
  report->writes = writes, report->other_writes = other_writes;
  report->other_site = {other.code, nullptr, 0};
  report->region = region, report->offset = offset, report->bytes = bytes;
  stop();
}

void settle_write() {
  if (!pending.active) return;
  pending.active = false;
  if (memcmp(pending.before, pending.address, pending.bytes) != 0)
    race(pending.other, true, pending.site, true, pending.region, pending.offset, pending.bytes);
}

void note_read(Shadow& shadow, const Access& access) {
  if (!in_epoch(shadow.reader)) {
    shadow.reader = access;
    shadow.fellow.epoch = shadow.stranger.epoch = 0;
  } else if (shadow.reader.thread / kLanes == current->warp) {
    if (shadow.reader.thread != current->id) shadow.fellow = shadow.reader;
    shadow.reader = access;
  } else {
    shadow.stranger = access;
  }
}

void check_shared(char* address, unsigned bytes, bool reads, bool writes, bool atomic,
                  const Site& site, int region) {
  std::vector<Shadow>& shadow = shadows[region];
  int64_t offset = address - request->regions[region].begin;
  Access access = {epoch, clocks[current->warp][current->lane][current->lane],
                   static_cast<uint32_t>(site.offset), static_cast<uint16_t>(current->id), atomic};
  for (unsigned i = 0; i < bytes; ++i) {
    Shadow& byte = shadow[offset + i];
    if (unordered(byte.writer) && !(atomic && byte.writer.atomic)) {
      if (!writes || atomic || byte.writer.atomic || bytes > sizeof pending.before)
        race(byte.writer, true, site, writes, region, offset, bytes);
      if (!pending.active) {
        pending = {true, bytes, address, {}, byte.writer, site, region, offset};
        memcpy(pending.before, address, bytes);
      }
    }
    if (reads && byte.writer.epoch < block_epoch) {
      // Nobody has written it yet. Let the others run first: if one of them writes it now, the
      // fault is a missing barrier; if none does, it is an uninitialised read.
      note_read(byte, access);
      current->state = STALLED;
      current->stalled_at = site;
      current->stalled_bytes = bytes;
      current->stalled_address = reinterpret_cast<uint64_t>(address);
      report->region = region, report->offset = offset;
      stop();
    }
    if (writes) {
      for (const Access* reader : {&byte.stranger, &byte.reader, &byte.fellow})
        if (unordered(*reader) && !(atomic && reader->atomic))
          race(*reader, false, site, true, region, offset, bytes);
      byte.writer = access;
    } else {
      note_read(byte, access);
    }
  }
}

bool inside(const Region& region, const char* address, unsigned bytes) {
  return address >= region.begin && address + bytes <= region.begin + region.bytes;
}

void out_of_bounds(char* address, unsigned bytes, bool writes, const Site& site) {
  describe(OUT_OF_BOUNDS, *current, site);
  report->writes = writes, report->bytes = bytes;
  report->address = reinterpret_cast<uint64_t>(address);
  report->region = -1;
  uint64_t nearest = UINT64_MAX;
  for (int r = 0; r < request->region_count; ++r) {
    const Region& region = request->regions[r];
    uint64_t distance = address < region.begin ? region.begin - address
                        : address >= region.begin + region.bytes
                            ? address - (region.begin + region.bytes)
                            : 0;
    if (distance < nearest) {
      nearest = distance;
      report->region = r;
      report->offset = address - region.begin;
    }
  }
  if (nearest > uint64_t{1} << 40) report->region = -1;  // a wild pointer is near nothing
  stop();
}

void check(void* pointer, unsigned bytes, bool reads, bool writes, bool atomic, const void* caller) {
  if (!current) return;  // a constructor of the .cu file, while it is being loaded
  settle_write();
  Site site = code_site(caller);
  char* address = static_cast<char*>(pointer);
  int found = -1;
  if (last_region < request->region_count && inside(request->regions[last_region], address, bytes)) {
    found = last_region;
  } else {
    for (int r = 0; r < request->region_count && found < 0; ++r)
      if (inside(request->regions[r], address, bytes)) found = r;
    if (found >= 0) last_region = found;
  }
  if (found >= 0) {
    int kind = request->regions[found].kind;
    if (kind == SHARED || kind == DYNAMIC)
      check_shared(address, bytes, reads, writes, atomic, site, found);
  } else if (address < current->stack || address + bytes > current->stack + kStack) {
    out_of_bounds(address, bytes, writes, site);
  }
  if (++accesses % kSlice == 0) {  // a thread that spins on a flag must let the one that sets it run
    settle_write();
    suspend();
  }
}

}  // namespace
