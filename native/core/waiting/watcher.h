// One thread per process that sleeps until a peer dies, and then has its clients recover. It also does the follow-ups
// of wakes (waiters.h), and hears who could not ring (os/nudges.h). It exists while it has clients, uses no CPU while
// nothing happens, and never takes an item.
//
// The kernel tells it of the death of a process of its own pid namespace, by pidfd. Of others it cannot, nor where
// there are no pidfds: while such a peer is attached, and only then, it asks every kPollMs after all of them.
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
  /// Another process on the segment of a client.
  struct Peer {
    uint32_t pid;
    bool near;  // of this process's pid namespace
  };

  /// What is watched for. All calls come from the watcher's thread, one at a time, and none after remove() returned.
  class Client {
   public:
    virtual ~Client() = default;
    /// The processes whose death matters.
    virtual std::vector<Peer> peers() = 0;
    /// One of them may have died.
    virtual void look_after_peers() = 0;
    virtual void follow_up(int direction) = 0;
    /// Somebody could not ring one of those who wait (`told`), or may not have been able to.
    virtual void nudged(bool told) = 0;
    /// The open file of its segment.
    virtual int segment_descriptor() const = 0;
  };

  /// This process's.
  static Watcher& instance();

  /// False: there is no thread to be had now, and nothing is watched.
  bool add(Client* client);
  void remove(Client* client);
  /// Calls client.follow_up(direction) after kFollowUpMs; from a call to that client, as a next attempt, later. False:
  /// there is no thread to do it.
  bool schedule(Client* client, int direction);
  /// Ends the thread, so that a fork copies a process without it. What is due is done first. The next handle to wait
  /// brings it back. No handle is in a call meanwhile, unless it
  /// sleeps in there.
  void pause();
  /// After the fork, in the parent: at once where something stays to be followed up, else with the next wait.
  void resume();
  static bool is_paused();
  /// A client that is in has other peers than before. Waits for nobody.
  void look_again();
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
  void listen(Client* client);
  void follow_up_at(Client* client, int direction, uint32_t due_ms);
  void loop(Run* run);
  void watch_peers(Run* run);
  int prepare(Run* run, std::vector<pollfd>* descriptors);
  void handle(Run* run, const std::vector<pollfd>& descriptors);
  void do_follow_ups();
  void poke();

  std::mutex mutex_;
  std::vector<Client*> clients_;
  std::multimap<Client*, FollowUp> follow_ups_;
  std::unique_ptr<Run> run_;
  const uint32_t forks_;  // the generation of forks that it belongs to
};

}  // namespace sage
