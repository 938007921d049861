// One thread per process that sleeps until a peer dies, and then has its clients recover. It also does the follow-ups
// of wakes (parking.h). It exists while it has clients, uses no CPU while nothing happens, and never takes an item.
#pragma once

#include <poll.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace sage {

class Watcher {
 public:
  /// What is watched for. All calls come from the watcher's thread, one at a time, and none after remove() returned.
  class Client {
   public:
    virtual ~Client() = default;
    /// Identities of the processes whose death matters.
    virtual std::vector<uint64_t> peers() = 0;
    virtual void peer_died() = 0;
    virtual void follow_up(int direction) = 0;
    /// Told the pipe by which newcomers get this watcher's attention.
    virtual void watched_by(uint32_t fd, uint64_t inode) = 0;
  };

  /// This process's.
  static Watcher& instance();

  /// False: there is no thread to be had now, and nothing is watched.
  bool add(Client* client);
  void remove(Client* client);
  /// Calls client.follow_up(direction) after kFollowUpMs; from a call to that client, as a next attempt, later.
  void schedule(Client* client, int direction);
  /// Whether the caller is called by the watcher. It must not add or remove then.
  static bool is_this_thread();

 private:
  struct Run;
  struct FollowUp {
    uint32_t due_ms;
    int direction;
  };

  Watcher();
  bool start();
  void follow_up_at(Client* client, int direction, uint32_t due_ms);
  void loop(Run* run);
  int build(Run* run, std::vector<pollfd>* descriptors, std::vector<uint64_t>* identities);
  void poke();

  std::mutex mutex_;
  std::vector<Client*> clients_;
  std::multimap<Client*, FollowUp> follow_ups_;
  std::unique_ptr<Run> run_;
  const uint32_t forks_;  // the generation of forks that it belongs to
};

}  // namespace sage
