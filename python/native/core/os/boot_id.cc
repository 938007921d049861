#include "core/os/process.h"

namespace sage {
namespace {

int hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

}  // namespace

BootId parse_boot(const char* text) {
  BootId boot{0, 0};
  int digits = 0;
  for (; *text != 0 && *text != '\n'; ++text) {
    if (*text == '-') continue;
    const int digit = hex_digit(*text);
    if (digit < 0) return {0, 0};
    uint64_t& half = digits++ < 16 ? boot.high : boot.low;
    half = half << 4 | static_cast<uint64_t>(digit);
  }
  return digits == 32 ? boot : BootId{0, 0};
}

}  // namespace sage
