// demo_worker RECORDS RESULTS GROUP [VALUE]: a worker of `sage-queue demo --with-cpp`, beside those in Node and Python
// on the same queues. It adds up the records of one batch after the other and puts what came of each, and says its news
// as lines of JSON. Fields are texts and numbers here.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <sage_queue.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

/// What MessagePack holds of the demo: nothing, a boolean, a number, text, a list, or names with values.
struct Value {
  enum Kind { kNull, kBoolean, kNumber, kText, kList, kMap } kind = kNull;
  double number = 0;
  std::string text;
  std::vector<Value> list;
  std::vector<std::pair<std::string, Value>> map;

  const Value& operator[](const std::string& name) const {
    static const Value nothing;
    for (const auto& [key, value] : map) {
      if (key == name) return value;
    }
    return nothing;
  }
};

/// Reads one item of MessagePack: docs/wire-format.md. Extensions do not come in JSON files.
class Reader {
 public:
  explicit Reader(sage_queue::Bytes bytes) : at_(bytes.begin()), end_(bytes.end()) {}

  Value read() {
    const auto first = static_cast<uint8_t>(big_endian(1));
    if (first < 0x80) return number(first);
    if (first < 0x90) return map(first & 0x0f);
    if (first < 0xa0) return list(first & 0x0f);
    if (first < 0xc0) return text(first & 0x1f);
    if (first >= 0xe0) return number(static_cast<int8_t>(first));
    switch (first) {
      case 0xc0:
        return {};
      case 0xc2:
      case 0xc3: {
        Value value = number(first & 1);
        value.kind = Value::kBoolean;
        return value;
      }
      case 0xca: {
        const auto bits = static_cast<uint32_t>(big_endian(4));
        float found = 0;
        std::memcpy(&found, &bits, sizeof found);
        return number(found);
      }
      case 0xcb: {
        const uint64_t bits = big_endian(8);
        double found = 0;
        std::memcpy(&found, &bits, sizeof found);
        return number(found);
      }
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return number(static_cast<double>(big_endian(size_t{1} << (first - 0xcc))));
      case 0xd0:
        return number(static_cast<int8_t>(big_endian(1)));
      case 0xd1:
        return number(static_cast<int16_t>(big_endian(2)));
      case 0xd2:
        return number(static_cast<int32_t>(big_endian(4)));
      case 0xd3:
        return number(static_cast<double>(static_cast<int64_t>(big_endian(8))));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return text(big_endian(size_t{1} << (first - 0xd9)));
      case 0xdc:
      case 0xdd:
        return list(big_endian(size_t{2} << (first - 0xdc)));
      case 0xde:
      case 0xdf:
        return map(big_endian(size_t{2} << (first - 0xde)));
      default:
        throw std::runtime_error("an item of another kind than records");
    }
  }

 private:
  uint64_t big_endian(size_t bytes) {
    if (static_cast<size_t>(end_ - at_) < bytes) throw std::runtime_error("an item that ends too early");
    uint64_t value = 0;
    for (size_t index = 0; index < bytes; ++index) value = value << 8 | *at_++;
    return value;
  }
  static Value number(double found) {
    Value value;
    value.kind = Value::kNumber;
    value.number = found;
    return value;
  }
  Value text(uint64_t bytes) {
    if (static_cast<uint64_t>(end_ - at_) < bytes) throw std::runtime_error("an item that ends too early");
    Value value;
    value.kind = Value::kText;
    value.text.assign(reinterpret_cast<const char*>(at_), bytes);
    at_ += bytes;
    return value;
  }
  Value list(uint64_t count) {
    Value value;
    value.kind = Value::kList;
    for (uint64_t index = 0; index < count; ++index) value.list.push_back(read());
    return value;
  }
  Value map(uint64_t count) {
    Value value;
    value.kind = Value::kMap;
    for (uint64_t index = 0; index < count; ++index) {
      std::string name = read().text;
      value.map.emplace_back(std::move(name), read());
    }
    return value;
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

/// Writes MessagePack; each number as the largest of its kind, which every reader takes.
class Writer {
 public:
  std::string bytes;

  void list(uint32_t count) { big_endian(0xdd, count, 4); }
  void map(uint32_t count) { big_endian(0xdf, count, 4); }
  void text(const std::string& text) {
    big_endian(0xdb, text.size(), 4);
    bytes += text;
  }
  void number(double number) {
    uint64_t bits = 0;
    std::memcpy(&bits, &number, sizeof bits);
    big_endian(0xcb, bits, 8);
  }
  void null() { bytes += '\xc0'; }

 private:
  void big_endian(int kind, uint64_t value, int size) {
    bytes += static_cast<char>(kind);
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  }
};

struct Group {
  uint64_t records = 0;
  uint64_t values = 0;
  int64_t sum = 0;  // in millionths, so that the order in which parts come together does not matter
  double least = std::numeric_limits<double>::infinity();
  double greatest = -std::numeric_limits<double>::infinity();

  void add(double value) {
    const double scaled = value * 1e6;
    const double below = std::floor(scaled);
    const double rounded = scaled - below >= 0.5 ? below + 1 : below;  // as Math.round does
    if (std::abs(rounded) > 1e18) throw std::runtime_error("a number that is too large for this worker");
    ++values;
    sum += static_cast<int64_t>(rounded);
    least = std::min(least, value);
    greatest = std::max(greatest, value);
  }
};

/// False: there is no number in the field.
bool number_in(const Value& field, double* number) {
  if (field.kind == Value::kNumber) *number = field.number;
  if (field.kind != Value::kText) return field.kind == Value::kNumber;
  char* end = nullptr;
  *number = std::strtod(field.text.c_str(), &end);
  return !field.text.empty() && *end == 0;
}

std::string partial_of(const Value& batch, const std::string& group_field, const std::string& value_field) {
  std::map<std::string, Group> groups;
  for (const Value& record : batch["records"].list) {
    const Value& key = record[group_field];
    if (key.kind != Value::kText && key.kind != Value::kNull) throw std::runtime_error("a group that is no text");
    Group& group = groups[key.text];
    ++group.records;
    double number = 0;
    if (!value_field.empty() && number_in(record[value_field], &number)) group.add(number);
  }
  Writer writer;
  writer.map(2);
  writer.text("number");
  writer.number(batch["number"].number);
  writer.text("groups");
  writer.list(static_cast<uint32_t>(groups.size()));
  for (const auto& [key, group] : groups) {
    writer.list(6);
    writer.text(key);
    writer.number(static_cast<double>(group.records));
    writer.number(static_cast<double>(group.values));
    writer.text(std::to_string(group.sum));
    group.values == 0 ? writer.null() : writer.number(group.least);
    group.values == 0 ? writer.null() : writer.number(group.greatest);
  }
  return std::move(writer.bytes);
}

sage_queue::Queue attach(const std::string& uri) {
  const size_t colon = uri.find(':');
  sage_queue::Options options{uri.substr(colon + 1)};
  options.kind = uri.substr(0, colon) == "shm" ? SQ_KIND_SHM : SQ_KIND_SAGE;
  options.create = SQ_NEVER;
  return sage_queue::Queue(options);
}

void work(int count, char** words) {
  sage_queue::Queue records = attach(words[1]);
  sage_queue::Queue results = attach(words[2]);
  std::puts(R"({"kind":"ready"})");
  std::fflush(stdout);
  unsigned long batches = 0;
  unsigned long redelivered = 0;
  while (std::optional<sage_queue::Lease> lease = records.lease()) {
    if (lease->deliveries() > 1) ++redelivered;
    results.put(partial_of(Reader(lease->bytes()).read(), words[3], count > 4 ? words[4] : ""), SQ_MSGPACK);
    lease->ack();
    ++batches;
  }
  std::printf("{\"kind\":\"worked\",\"batches\":%lu,\"redelivered\":%lu}\n", batches, redelivered);
}

/// Its standard input ends with the parent.
void end_with_the_parent() {
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  std::_Exit(1);
}

}  // namespace

int main(int count, char** words) try {
  if (count < 4) throw std::runtime_error("usage: demo_worker RECORDS RESULTS GROUP [VALUE]");
  std::thread(end_with_the_parent).detach();
  work(count, words);
  std::fflush(stdout);
  std::_Exit(0);  // the thread waits still
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
