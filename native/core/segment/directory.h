// Where segments lie: which directory, whether queues can be there, and who takes up room in it.
#pragma once

#include <string>

namespace sage {

/// Before anything is opened there: whether queues can lie where this process wants them. Throws SegmentFailure.
void check_place();

/// No queue is one thing, no place for queues another: throws SegmentFailure where there is none for `file`.
void check_directory(const std::string& file);

/// Stands for "room for a queue is being taken or given up in this directory": while a queue is made, from before its
/// room is reserved until it has its name; while one is removed, until its memory is let go of. Its holder's death ends
/// it. Where the system has no such locks, others are always suspected.
class RoomMark {
 public:
  RoomMark();
  ~RoomMark();
  RoomMark(const RoomMark&) = delete;
  RoomMark& operator=(const RoomMark&) = delete;
  bool others() const;

 private:
  int folder_;
};

}  // namespace sage
