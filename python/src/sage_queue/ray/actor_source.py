"""The class of the actor behind a queue: that of lib/transports/ray/actor/queue-actor-source.ts. Written by scripts/build/python-ray-actor.py."""

NAME = "SageQueueActor"

SOURCE = r'''
import asyncio
import bisect
import collections
import time
import uuid
from ray.util.queue import Empty, Full, _QueueActor

ATTACHED_SECONDS = 300


class Owner:
    def __init__(self):
        self.epoch = 0
        self.applied = 0
        self.seen = time.monotonic()
        self.lease_seconds = 20.0
        # Calls run in any order: a cancellation may come before what it cancels.
        self.cancelled = collections.deque(maxlen=64)


class SageQueueActor(_QueueActor):
    def __init__(self, maxsize=0):
        self.maxsize = maxsize
        self.incarnation = uuid.uuid4().hex  # another one after each start: what a process before held is gone
        self.generation = 0
        self.lease_id = 0  # of all generations: what a handle of one before settles is nobody's
        self._reset()

    def _reset(self):
        self.generation += 1
        self.items = collections.deque()  # (sequence, deliveries so far, item), by sequence
        self.leases = {}  # id -> (owner, sequence, deliveries, item)
        self.owners = {}
        self.getters = collections.deque()
        self.putters = collections.deque()
        self.joiners = collections.deque()
        self.calls = {}
        self.sequence = 0
        self.shut = None
        self.put_total = self.get_total = self.redelivered = 0
        self.timer = None

    # -- waiting

    def _poke(self):
        """Wakes who can go on; each one that goes on pokes again, so that nobody sleeps beside an item or room."""
        if self.items or self._finished():
            self._wake(self.getters, all=not self.items)
        if self.shut or not self.full():
            self._wake(self.putters, all=bool(self.shut))
        if not self.items and not self.leases:
            self._wake(self.joiners, all=True)

    @staticmethod
    def _wake(line, all=False):
        for waiter in line:
            if not waiter.done():
                waiter.set_result(True)
                if not all:
                    return

    async def _wait(self, line, deadline, key=None):
        """False when the time is over or the call was cancelled."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        waiter = asyncio.get_running_loop().create_future()
        line.append(waiter)
        if key is not None:
            self.calls[key] = waiter
        try:
            return await asyncio.wait_for(waiter, left)
        except asyncio.TimeoutError:
            return False
        finally:
            line.remove(waiter)
            if key is not None:
                self.calls.pop(key, None)

    def _finished(self):
        return self.shut == "now" or (self.shut is not None and not self.items and not self.leases)

    def _append(self, item):
        self.items.append((self.sequence, 0, item))
        self.sequence += 1
        self.put_total += 1

    def _check_open(self):
        if self.shut:
            raise RuntimeError("This queue was shut down and takes no more items.")

    # -- what ray.util.queue.Queue calls

    def qsize(self):
        self._expire()
        return len(self.items)

    def empty(self):
        return self.qsize() == 0

    def full(self):
        return self.maxsize > 0 and len(self.items) + len(self.leases) >= self.maxsize

    async def put(self, item, timeout=None):
        deadline = None if timeout is None else time.monotonic() + timeout
        self._expire()
        while True:
            self._check_open()
            if not self.full():
                self._append(item)
                return self._poke()
            if not await self._wait(self.putters, deadline):
                self._poke()
                raise Full

    async def get(self, timeout=None):
        deadline = None if timeout is None else time.monotonic() + timeout
        self._expire()
        while True:
            if self.items:
                return self._pop()
            if self._finished():
                raise RuntimeError("This queue was shut down and nothing is left in it.")
            if not await self._wait(self.getters, deadline):
                self._poke()
                raise Empty

    def _pop(self):
        item = self.items.popleft()[2]
        self.get_total += 1
        self._poke()
        return item

    def put_nowait(self, item):
        self._expire()
        self._check_open()
        if self.full():
            raise asyncio.QueueFull
        self._append(item)
        self._poke()

    def put_nowait_batch(self, items):
        self._expire()
        self._check_open()
        if self.maxsize > 0 and len(items) + len(self.items) + len(self.leases) > self.maxsize:
            raise Full(f"Cannot add {len(items)} items to queue of size {len(self.items)} and maxsize {self.maxsize}.")
        for item in items:
            self._append(item)
        self._poke()

    def get_nowait(self):
        self._expire()
        if not self.items:
            raise asyncio.QueueEmpty
        return self._pop()

    def get_nowait_batch(self, num_items):
        self._expire()
        if num_items > len(self.items):
            raise Empty(f"Cannot get {num_items} items from queue of size {len(self.items)}.")
        return [self._pop() for _ in range(num_items)]

    # -- leases

    def _return(self, lease_id, count_delivery=True):
        lease = self.leases.pop(lease_id, None)
        if lease is None or self.shut == "now":
            return
        owner, sequence, deliveries, item = lease
        if count_delivery:
            self.redelivered += 1
        else:
            deliveries -= 1
        entry = (sequence, deliveries, item)
        # Given back in the order of the puts; nearly always the very front.
        if not self.items or sequence < self.items[0][0]:
            self.items.appendleft(entry)
        else:
            self.items.insert(bisect.bisect_left(self.items, sequence, key=lambda other: other[0]), entry)

    def _expire(self):
        if not self.leases:
            return
        now = time.monotonic()
        late = {name for name, owner in self.owners.items() if owner.seen + owner.lease_seconds <= now}
        gone = [key for key, lease in self.leases.items() if lease[0] in late or lease[0] not in self.owners]
        for key in gone:
            self._return(key)
        if gone:
            self._poke()

    def _watch(self):
        """Looks again when the next lease can run out, so that those who wait get what comes back."""
        if self.timer is not None or not self.leases:
            return
        holders = {lease[0] for lease in self.leases.values()}
        ends = [o.seen + o.lease_seconds for n, o in self.owners.items() if n in holders]
        delay = max(0.02, min(ends) - time.monotonic() + 0.01) if ends else 0.02

        def look():
            self.timer = None
            self._expire()
            self._watch()

        self.timer = asyncio.get_running_loop().call_later(delay, look)

    def _touch(self, owner, epoch, settle):
        """The owner, with what it settles on the way; None when this call comes from a session that is over."""
        known = self.owners.get(owner)
        if known is None or epoch < known.epoch:
            return None
        known.seen = time.monotonic()
        acks, releases, unseen = ([i for i in ids if i in self.leases and self.leases[i][0] == owner] for ids in settle)
        for lease_id in acks:
            if self.leases.pop(lease_id, None) is not None:
                self.get_total += 1
        for lease_id in reversed(releases):
            self._return(lease_id)
        for lease_id in reversed(unseen):
            self._return(lease_id, count_delivery=False)
        self._expire()
        if acks or releases or unseen:
            self._poke()
        return known

    def sage_hello(self, owner, epoch, held, lease_seconds):
        self._expire()
        now = time.monotonic()
        if self._finished() and not any(n != owner and now - o.seen < ATTACHED_SECONDS for n, o in self.owners.items()):
            self._reset()
        known = self.owners.setdefault(owner, Owner())
        # One of an epoch that is over comes late, and knows nothing of what came after it.
        if epoch > known.epoch:
            known.epoch = epoch
            known.seen = now
            known.lease_seconds = lease_seconds
            held = set(held)
            for key in [k for k, lease in self.leases.items() if lease[0] == owner and k not in held]:
                self._return(key)
            # Calls of the session before see that their epoch is over.
            for key, waiter in list(self.calls.items()):
                if key[0] == owner and key[1] < epoch and not waiter.done():
                    waiter.set_result(False)
            self._poke()
            self._watch()
        return {"version": 1, "generation": self.generation, "maxsize": self.maxsize, "applied": known.applied, "incarnation": self.incarnation}

    # These take one list, because Ray carries each argument on its own.

    async def sage_put(self, request):
        """Applies the items numbered first, first + 1, ...: all that fit, waiting only for the first. How many are in."""
        owner, epoch, settle, call, first, items, wait = request
        known = self._touch(owner, epoch, settle)
        if known is None:
            return ["stale", 0]
        deadline = time.monotonic() + wait
        done = max(0, known.applied - first)
        while done < len(items):
            if epoch < known.epoch:
                return ["stale", done]
            if self.shut:
                return ["shut", done]
            if not self.full():
                self._append(items[done])
                done += 1
                known.applied = first + done
            elif done > 0 or call in known.cancelled or not await self._wait(self.putters, deadline, (owner, epoch, call)):
                break
        self._poke()
        return ["ok", done]

    async def sage_take(self, request):
        owner, epoch, settle, call, most, wait = request
        known = self._touch(owner, epoch, settle)
        if known is None:
            return ["stale", []]
        deadline = time.monotonic() + wait
        while True:
            if epoch < known.epoch:
                self._poke()
                return ["stale", []]
            if self.items:
                break
            if self._finished():
                return ["shut", []]
            if call in known.cancelled or not await self._wait(self.getters, deadline, (owner, epoch, call)):
                self._poke()
                return ["ok", []]
        known.seen = time.monotonic()
        taken = []
        while self.items and len(taken) < most:
            sequence, deliveries, item = self.items.popleft()
            self.lease_id += 1
            self.leases[self.lease_id] = (owner, sequence, deliveries + 1, item)
            taken.append([self.lease_id, deliveries + 1, item])
        self._poke()
        self._watch()
        return ["ok", taken]

    async def sage_join(self, request):
        """Whether there was a moment, within the wait, at which nothing was in the queue or on lease."""
        owner, epoch, settle, call, wait = request
        known = self._touch(owner, epoch, settle)
        if known is None:
            return ["stale", False]
        if not self.items and not self.leases:
            return ["ok", True]
        if call in known.cancelled:
            return ["ok", False]
        return ["ok", bool(await self._wait(self.joiners, time.monotonic() + wait, (owner, epoch, call)))]

    def sage_cancel(self, owner, epoch, call):
        waiter = self.calls.get((owner, epoch, call))
        if waiter is None:
            if owner in self.owners:
                self.owners[owner].cancelled.append(call)
        elif not waiter.done():
            waiter.set_result(False)

    def sage_state(self, request):
        owner, epoch, settle = request
        if self._touch(owner, epoch, settle) is None:
            return ["stale", None]
        return {
            "qsize": len(self.items), "leased": len(self.leases), "maxsize": self.maxsize,
            "put_total": self.put_total, "get_total": self.get_total, "redelivered": self.redelivered,
            "getters": len(self.getters), "putters": len(self.putters), "shut": self.shut is not None,
        }

    def sage_shutdown(self, immediate):
        if immediate:
            self.shut = "now"
            self.items.clear()  # what is on lease stays so until its holder is done, and does not come back
        elif self.shut is None:
            self.shut = "draining"
        self._poke()

    def sage_bye(self, request):
        owner, epoch, settle = request
        if self._touch(owner, epoch, settle) is None:
            return ["stale", None]
        for key in [k for k, lease in self.leases.items() if lease[0] == owner]:
            self._return(key)
        del self.owners[owner]
        self._poke()
'''
