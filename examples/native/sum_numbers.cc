// sum_numbers QUEUE: adds up the numbers of put_numbers, each read where it lies, until the queue has ended.
#include <iostream>
#include <sage_queue.hpp>

int main(int count, char** words) try {
  if (count != 2) {
    std::cerr << "usage: " << words[0] << " QUEUE\n";
    return 2;
  }
  sage_queue::Queue queue({words[1]});
  uint64_t sum = 0;
  uint64_t items = 0;
  while (!queue.at_end()) {
    items += queue.for_each(SQ_MAX_BATCH, [&](sage_queue::Bytes bytes, uint32_t codec) {
      if (codec != SQ_MSGPACK || bytes.size != 5 || bytes.data[0] != 0xce) throw std::runtime_error("no number");
      uint32_t number = 0;
      for (size_t at = 1; at < 5; ++at) number = number << 8 | bytes.data[at];
      sum += number;
    });
  }
  std::cout << items << " numbers, " << sum << " in all\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
