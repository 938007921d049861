#include "core/segment/format.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/segment/failures.h"

namespace sage::format {
namespace {

uint64_t round_up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

uint64_t power_of_two(uint64_t at_least) {
  uint64_t power = 1;
  while (power < at_least) power *= 2;
  return power;
}

}  // namespace

uint64_t fnv1a(const void* data, size_t size, uint64_t hash) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  for (size_t index = 0; index < size; ++index) hash = (hash ^ bytes[index]) * 0x100000001b3ULL;
  return hash;
}

uint64_t checksum(const Header& header) {
  const uint64_t fixed = fnv1a(&header, offsetof(Header, checksum));
  return fnv1a(header.queue_id, sizeof header.queue_id, fnv1a(header.name, sizeof header.name, fixed));
}

void lay_out(Header* header) {
  header->area_bytes = power_of_two(std::max(header->capacity_bytes, kPayloadAlignment));
  // Without a number of its own a queue holds as many items as fit at one cache line each.
  header->item_limit = header->maxsize != 0 ? header->maxsize : header->capacity_bytes / 64;
  header->item_limit = std::max<uint64_t>(header->item_limit, 1);
  header->slot_count = power_of_two(2 * std::max<uint64_t>(header->item_limit, kMaxBatch));
  header->lease_count = header->item_limit;
  header->control_offset = kControlOffset;
  header->participants_offset = kParticipantsOffset;
  header->schema_offset = header->participants_offset + kParticipants * sizeof(Participant<StdMemory>);
  header->slots_offset = header->schema_offset + header->schema_bytes;
  header->leases_offset = header->slots_offset + header->slot_count * sizeof(Slot<StdMemory>);
  header->payload_offset =
      round_up(header->leases_offset + header->lease_count * sizeof(LeaseEntry<StdMemory>), kPayloadAlignment);
  header->total_bytes = header->payload_offset + header->area_bytes;
}

void check_header(const Header& header, uint64_t file_bytes, const std::string& file) {
  if (header.magic != kMagic) fail_corrupt(file, "its first eight bytes are not the magic number");
  if (header.layout_version != kLayoutVersion) {
    throw SegmentFailure(
        "ERR_SEGMENT_VERSION",
        "segment " + file + " has layout version " + std::to_string(header.layout_version) +
            ", this build reads version " + std::to_string(kLayoutVersion) +
            ". Drain it with the release of sage-queue that made it and let that remove it, or use one release in "
            "every process (docs/compatibility.md).");
  }
  if (header.endian_mark != kEndianMark || header.word_bytes != sizeof(void*) ||
      header.header_bytes != sizeof(Header)) {
    throw SegmentFailure("ERR_SEGMENT_VERSION",
                         "segment " + file + " was made by a build with another word size, byte order or header size.");
  }
  if (header.incompatible_features != 0) {
    char bits[16];
    std::snprintf(bits, sizeof bits, "0x%x", header.incompatible_features);
    throw SegmentFailure("ERR_SEGMENT_VERSION", "segment " + file + " uses features that this build does not know (" +
                                                    bits +
                                                    "). Use the release of sage-queue that made it, or a later one, "
                                                    "in every process (docs/compatibility.md).");
  }
  if (header.checksum != checksum(header)) fail_corrupt(file, "its header does not match its checksum");
  if (header.maxsize > kMaxItems || header.capacity_bytes == 0 || header.capacity_bytes > kMaxCapacity ||
      (header.schema_bytes != 0 && header.schema_bytes != kSchemaBytes) || header.name_bytes > kNameBytes ||
      header.queue_id_bytes > kQueueIdBytes ||
      (header.kind != static_cast<uint32_t>(Kind::kShm) && header.kind != static_cast<uint32_t>(Kind::kSage))) {
    fail_corrupt(file, "a size in its header is out of range");
  }
  Header expected = header;
  lay_out(&expected);
  if (std::memcmp(&expected, &header, sizeof header) != 0) fail_corrupt(file, "its sizes contradict each other");
  if (header.total_bytes != file_bytes) {
    fail_corrupt(file,
                 "it has " + std::to_string(file_bytes) + " bytes instead of " + std::to_string(header.total_bytes));
  }
}

void check_cursors(const SharedState<StdMemory>& shared, const std::string& file) {
  // Read in an order in which each can only have grown past the one before.
  const uint64_t reclaimed = shared.control->reclaim.load();
  const uint64_t head = Cursor::number(shared.control->head.load());
  const uint64_t tail = Cursor::number(shared.control->tail.load());
  failpoint(Point::kOpenRead);
  // This one is as new as tail or newer, and may have passed it since.
  const uint64_t behind = std::min(tail, shared.control->reclaim.load());
  if (reclaimed < shared.first_number() || tail < head || head < reclaimed || tail - behind > 2 * shared.slot_count ||
      shared.control->lease_high.load() > shared.lease_count ||
      shared.control->participant_high.load() > kParticipants) {
    fail_corrupt(file, "its cursors contradict each other");
  }
}

SharedState<StdMemory> view(const Header& header, uint8_t* base) {
  SharedState<StdMemory> shared;
  shared.control = reinterpret_cast<Control<StdMemory>*>(base + header.control_offset);
  shared.participants = reinterpret_cast<Participant<StdMemory>*>(base + header.participants_offset);
  shared.slots = reinterpret_cast<Slot<StdMemory>*>(base + header.slots_offset);
  shared.leases = reinterpret_cast<LeaseEntry<StdMemory>*>(base + header.leases_offset);
  shared.slot_count = header.slot_count;
  shared.item_limit = header.item_limit;
  shared.lease_count = header.lease_count;
  shared.capacity_units = Record::units(header.capacity_bytes);
  shared.area_units = Record::units(header.area_bytes);
  return shared;
}

}  // namespace sage::format
