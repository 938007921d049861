// What can go wrong with a segment, and what to do about it. The codes are those of the TypeScript errors.
#pragma once

#include <stdexcept>
#include <string>

namespace sage {

class SegmentFailure : public std::runtime_error {
 public:
  SegmentFailure(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;
};

}  // namespace sage
