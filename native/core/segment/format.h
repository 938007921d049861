// What a segment's header must be: how its sizes follow from what was asked, and what is checked before any of it is
// believed.
#pragma once

#include <cstdint>
#include <string>

#include "core/algorithm/shared_state.h"

namespace sage::format {

constexpr uint64_t kControlOffset = 4096;
constexpr uint64_t kParticipantsOffset = 8192;
constexpr uint64_t kPayloadAlignment = 65536;  // no page is larger on the platforms promised
constexpr uint64_t kMaxCapacity = uint64_t{1} << 30;
constexpr uint64_t kMaxItems = uint64_t{1} << 23;
static_assert(sizeof(Header) <= kControlOffset);
static_assert(kControlOffset + sizeof(Control<StdMemory>) <= kParticipantsOffset);

uint64_t fnv1a(const void* data, size_t size, uint64_t hash = 0xcbf29ce484222325ULL);

uint64_t checksum(const Header& header);

/// Fills in every size that follows from what was asked.
void lay_out(Header* header);

/// The header of a file of `file_bytes` that anybody may have written. Throws SegmentFailure.
void check_header(const Header& header, uint64_t file_bytes, const std::string& file);

/// The cursors of a segment that others may be using meanwhile. Throws SegmentFailure.
void check_cursors(const SharedState<StdMemory>& shared, const std::string& file);

/// The words of a segment that lies at `base`.
SharedState<StdMemory> view(const Header& header, uint8_t* base);

}  // namespace sage::format
