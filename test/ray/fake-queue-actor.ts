/** What the Python actor of sage-queue does (lib/transports/ray/actor/queue-actor-source.ts), in the process of a test: leases run out only with their owner. */
import type { PyFloat, PyList } from '../../lib/transports/ray/pickle/types';
import type { Methods } from './fake-ray';

interface Owner {
  epoch: number;
  applied: number;
  readonly cancelled: Set<number>;
}

interface Entry {
  readonly sequence: number;
  deliveries: number;
  readonly item: unknown;
}

type Waiter = (woken: boolean) => void;

const seconds = (value: unknown): number => Number((value as PyFloat).value ?? value);
const listed = (value: unknown): unknown[] => (value as PyList).items;

class QueueActor {
  private readonly incarnation = `${Math.random()}`;
  private generation = 0;
  private entries: Entry[] = [];
  private readonly leases = new Map<number, Entry & { owner: string }>();
  private owners = new Map<string, Owner>();
  private readonly getters = new Set<Waiter>();
  private readonly putters = new Set<Waiter>();
  private readonly joiners = new Set<Waiter>();
  /** By owner, epoch and call. */
  private readonly calls = new Map<string, Waiter>();
  private shut: 'draining' | 'now' | undefined;
  private sequence = 0;
  private lease = 0;
  private totals = { put_total: 0, get_total: 0, redelivered: 0 };

  constructor(private readonly maxsize: number) {
    this.reset();
  }

  private reset(): void {
    this.generation++;
    this.entries = [];
    this.leases.clear();
    this.owners = new Map();
    this.shut = undefined;
    this.totals = { put_total: 0, get_total: 0, redelivered: 0 };
  }

  private get full(): boolean {
    return this.maxsize > 0 && this.entries.length + this.leases.size >= this.maxsize;
  }

  private get finished(): boolean {
    return this.shut === 'now' || (this.shut !== undefined && this.entries.length + this.leases.size === 0);
  }

  private poke(): void {
    const wake = (line: Set<Waiter>): void => {
      for (const waiter of [...line]) waiter(true);
    };
    if (this.entries.length > 0 || this.finished) wake(this.getters);
    if (this.shut !== undefined || !this.full) wake(this.putters);
    if (this.entries.length + this.leases.size === 0) wake(this.joiners);
  }

  /** False when the time is over or the call was cancelled. */
  private wait(line: Set<Waiter>, deadline: number, key: string): Promise<boolean> {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end: Waiter = (woken) => {
        clearTimeout(timer);
        line.delete(end);
        this.calls.delete(key);
        resolve(woken);
      };
      const timer = setTimeout(end, leftMs, false).unref();
      line.add(end);
      this.calls.set(key, end);
    });
  }

  private return(id: number, countDelivery: boolean): void {
    const lease = this.leases.get(id);
    this.leases.delete(id);
    if (lease === undefined || this.shut === 'now') return;
    if (countDelivery) this.totals.redelivered++;
    else lease.deliveries--;
    const at = this.entries.findIndex(({ sequence }) => sequence > lease.sequence);
    this.entries.splice(at === -1 ? this.entries.length : at, 0, lease);
  }

  /** The owner; undefined when the call comes from a session that is over. */
  private touch(name: unknown, epoch: unknown, settle: unknown): Owner | undefined {
    const owner = this.owners.get(String(name));
    if (owner === undefined || Number(epoch) < owner.epoch) return undefined;
    const isItsOwn = (id: number): boolean => this.leases.get(id)?.owner === String(name);
    const [acks, releases, unseen] = listed(settle).map((ids) => (listed(ids) as number[]).filter(isItsOwn));
    for (const id of acks!) if (this.leases.delete(id)) this.totals.get_total++;
    for (const id of releases!.reverse()) this.return(id, true);
    for (const id of unseen!.reverse()) this.return(id, false);
    this.poke();
    return owner;
  }

  private returnAll(owner: string, but: ReadonlySet<number>): void {
    for (const [id, lease] of this.leases) if (lease.owner === owner && !but.has(id)) this.return(id, true);
  }

  hello([name, epoch, held]: readonly unknown[]): unknown {
    const owner = String(name);
    if (this.finished && [...this.owners.keys()].every((other) => other === owner)) this.reset();
    const known = this.owners.get(owner) ?? { epoch: 0, applied: 0, cancelled: new Set() };
    this.owners.set(owner, known);
    if (Number(epoch) > known.epoch) {
      known.epoch = Number(epoch);
      this.returnAll(owner, new Set(listed(held) as number[]));
      for (const [key, waiter] of this.calls) {
        const [of, then] = key.split('/');
        if (of === owner && Number(then) < known.epoch) waiter(false);
      }
      this.poke();
    }
    const { generation, maxsize, incarnation } = this;
    return { version: 1, generation, maxsize, applied: known.applied, incarnation };
  }

  async put([name, epoch, settle, call, first, given, wait]: readonly unknown[]): Promise<unknown> {
    const owner = this.touch(name, epoch, settle);
    if (owner === undefined) return ['stale', 0];
    const deadline = performance.now() + seconds(wait) * 1000;
    const items = listed(given);
    let done = Math.max(0, owner.applied - Number(first));
    while (done < items.length) {
      if (Number(epoch) < owner.epoch) return ['stale', done];
      if (this.shut !== undefined) return ['shut', done];
      if (!this.full) {
        this.entries.push({ sequence: this.sequence++, deliveries: 0, item: items[done++] });
        this.totals.put_total++;
        owner.applied = Number(first) + done;
      } else if (done > 0 || owner.cancelled.has(Number(call))) break;
      else if (!(await this.wait(this.putters, deadline, `${String(name)}/${String(epoch)}/${String(call)}`))) break;
    }
    this.poke();
    return ['ok', done];
  }

  async take([name, epoch, settle, call, most, wait]: readonly unknown[]): Promise<unknown> {
    const owner = this.touch(name, epoch, settle);
    const deadline = performance.now() + seconds(wait) * 1000;
    for (;;) {
      if (owner === undefined || Number(epoch) < owner.epoch) return ['stale', []];
      if (this.entries.length > 0) break;
      if (this.finished) return ['shut', []];
      const key = `${String(name)}/${String(epoch)}/${String(call)}`;
      if (owner.cancelled.has(Number(call)) || !(await this.wait(this.getters, deadline, key))) return ['ok', []];
    }
    const taken = this.entries.splice(0, Number(most)).map((entry) => {
      entry.deliveries++;
      this.leases.set(++this.lease, Object.assign(entry, { owner: String(name) }));
      return [this.lease, entry.deliveries, entry.item];
    });
    return ['ok', taken];
  }

  async join([name, epoch, settle, call, wait]: readonly unknown[]): Promise<unknown> {
    const owner = this.touch(name, epoch, settle);
    if (owner === undefined) return ['stale', false];
    if (this.entries.length + this.leases.size === 0) return ['ok', true];
    if (owner.cancelled.has(Number(call))) return ['ok', false];
    const key = `${String(name)}/${String(epoch)}/${String(call)}`;
    return ['ok', await this.wait(this.joiners, performance.now() + seconds(wait) * 1000, key)];
  }

  cancel([name, epoch, call]: readonly unknown[]): null {
    const waiter = this.calls.get(`${String(name)}/${String(epoch)}/${String(call)}`);
    if (waiter !== undefined) waiter(false);
    else this.owners.get(String(name))?.cancelled.add(Number(call));
    return null;
  }

  state([name, epoch, settle]: readonly unknown[]): unknown {
    if (this.touch(name, epoch, settle) === undefined) return ['stale', null];
    const { maxsize, totals } = this;
    const [getters, putters] = [this.getters.size, this.putters.size];
    return { qsize: this.entries.length, leased: this.leases.size, maxsize, ...totals, getters, putters };
  }

  shutdown([immediate]: readonly unknown[]): null {
    if (immediate === true) {
      this.shut = 'now';
      this.entries = [];
    } else this.shut ??= 'draining';
    this.poke();
    return null;
  }

  bye([name, epoch, settle]: readonly unknown[]): unknown {
    if (this.touch(name, epoch, settle) === undefined) return ['stale', null];
    this.returnAll(String(name), new Set());
    this.owners.delete(String(name));
    this.poke();
    return null;
  }
}

export function fakeQueueActor(maxsize: number): Methods {
  const actor = new QueueActor(maxsize);
  /** These take one list, because Ray carries each argument on its own. */
  const one =
    (method: (request: readonly unknown[]) => unknown) =>
    ([request]: readonly unknown[]) =>
      method.call(actor, listed(request));
  return {
    sage_hello: (args: readonly unknown[]) => actor.hello(args),
    sage_put: one(actor.put),
    sage_take: one(actor.take),
    sage_join: one(actor.join),
    sage_state: one(actor.state),
    sage_bye: one(actor.bye),
    sage_cancel: (args: readonly unknown[]) => actor.cancel(args),
    sage_shutdown: (args: readonly unknown[]) => actor.shutdown(args),
  };
}
