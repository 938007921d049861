// The workers in C++ of the tests of mixed languages; worker.py and worker.cjs are the same in theirs.
//   worker put QUEUE STREAM LOG     puts numbered items for ever
//   worker get QUEUE RECEIVER LOG   takes them for ever
//   worker move FROM TO COUNT       moves COUNT items from one queue to another
// campaign.py says what the log means.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <sage_queue.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using sage_queue::Bytes;
using sage_queue::Queue;

std::mt19937 chance(std::random_device{}());

std::string item_of(const std::string& stream, unsigned long number) {
  return stream + " " + std::to_string(number) + " " +
         std::string(number * 37 % 200, static_cast<char>('a' + number % 26));
}

/// Whole lines, each by one call: what a process that is killed has said is said.
class Log {
 public:
  explicit Log(const char* path) : file_(::open(path, O_WRONLY | O_APPEND | O_CLOEXEC)) {
    if (file_ < 0) throw std::runtime_error(std::string("no log ") + path);
  }
  void say(const std::string& line) const {
    const std::string whole = line + "\n";
    if (::write(file_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) std::abort();
  }

 private:
  int file_;
};

/// Text of MessagePack, as Python and Node write it, or raw bytes.
std::string text_of(Bytes bytes, uint32_t codec) {
  size_t header = 0;
  if (codec == SQ_MSGPACK) header = bytes.data[0] < 0xc0 ? 1 : bytes.data[0] == 0xd9 ? 2 : 3;
  return {reinterpret_cast<const char*>(bytes.data) + header, bytes.size - header};
}

/// " STREAM NUMBER DELIVERIES". @throws std::runtime_error for an item that nobody put
std::string held(Bytes bytes, uint32_t codec, uint32_t deliveries) {
  const std::string text = text_of(bytes, codec);
  const size_t first = text.find(' ');
  const size_t second = text.find(' ', first + 1);
  if (second == std::string::npos) throw std::runtime_error("torn: " + text);
  const std::string stream = text.substr(0, first);
  const std::string number = text.substr(first + 1, second - first - 1);
  if (text != item_of(stream, std::stoul(number))) throw std::runtime_error("torn: " + text);
  return " " + stream + " " + number + " " + std::to_string(deliveries);
}

void pause_now_and_then() {
  if (chance() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(chance() % 4000));
}

[[noreturn]] void put(Queue& queue, const std::string& stream, const Log& log) {
  for (unsigned long number = 0;;) {
    const unsigned long size = 1 + chance() % 8;
    const std::string range = " " + stream + " " + std::to_string(number) + " " + std::to_string(number + size);
    std::vector<std::string> items;
    for (unsigned long at = number; at < number + size; ++at) items.push_back(item_of(stream, at));
    log.say("put" + range);
    if (size == 1) {
      sage_queue::Claim claim = queue.claim(items[0].size());
      items[0].copy(reinterpret_cast<char*>(claim.data()), claim.size());
      claim.commit();
    } else {
      std::vector<sq_piece> pieces;
      for (const std::string& item : items) pieces.push_back({item.data(), static_cast<uint32_t>(item.size()), SQ_RAW});
      for (uint32_t done = 0; done < size;) {
        uint32_t accepted = 0;
        sage_queue::check(sq_put_many(queue.handle(), pieces.data() + done, static_cast<uint32_t>(size) - done,
                                      &accepted, SQ_FOREVER));
        done += accepted;
      }
    }
    log.say("ack" + range);
    number += size;
    pause_now_and_then();
  }
}

void get_on_lease(Queue& queue, const Log& log) {
  sq_item items[SQ_MAX_BATCH];
  uint32_t leased = 0;
  sage_queue::check(sq_lease(queue.handle(), 1 + chance() % 8, 0, items, &leased, SQ_FOREVER));
  std::string line = "hold";
  for (uint32_t at = 0; at < leased; ++at) {
    line += held(Bytes(items[at].data, items[at].bytes), items[at].codec, items[at].deliveries);
  }
  log.say(line);
  sage_queue::check(sq_ack(queue.handle(), items, leased));
  log.say("done");
}

/// Taken without a lease, and done with one by one: deliveries are not counted, so the order means nothing (0).
void get_in_place(Queue& queue, const Log& log) {
  const uint32_t found =
      queue.for_each(1, [&](Bytes bytes, uint32_t codec) { log.say("hold" + held(bytes, codec, 0)); });
  if (found > 0) log.say("done");
}

[[noreturn]] void get(Queue& queue, const Log& log) {
  for (;;) {
    if (chance() % 2 == 0) {
      get_on_lease(queue, log);
    } else {
      get_in_place(queue, log);
    }
    pause_now_and_then();
  }
}

void move(Queue& from, Queue& to, unsigned long count) {
  for (unsigned long moved = 0; moved < count;) {
    std::vector<std::string> items;
    from.for_each(SQ_MAX_BATCH, [&](Bytes bytes, uint32_t) {
      items.emplace_back(reinterpret_cast<const char*>(bytes.data), bytes.size);
    });
    for (const std::string& item : items) to.put({item.data(), item.size()});
    moved += items.size();
  }
}

}  // namespace

int main(int count, char** words) try {
  if (count != 5) throw std::runtime_error("usage: worker put|get QUEUE NAME LOG, or worker move FROM TO COUNT");
  const std::string role = words[1];
  if (role == "move") {
    Queue from({words[2], SQ_KIND_SAGE});
    Queue to({words[3], SQ_KIND_SHM});
    move(from, to, std::stoul(words[4]));
    to.join();
    return 0;
  }
  Queue queue({words[2]});
  const Log log(words[4]);
  role == "put" ? put(queue, words[3], log) : get(queue, log);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
