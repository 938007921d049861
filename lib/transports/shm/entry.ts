/**
 * One thread's place in one segment, which its handles share: the entry in the segment's table, the mapping, the descriptors, the memory
 * in which items arrive, the place at the doorbell, and the calls that wait.
 *
 * What holds:
 * 1. A thread has one entry in a segment, however many handles it resolves. Which segment it is says the file, by device and inode, not its
 *    name: the queue that comes after one that was unlinked is another one, and gets another entry.
 * 2. An entry lasts from its first handle to the end of its last, which was closed or collected. Nothing here leads to a handle but a call
 *    of it that waits; what works for a handle (leases, claims, iterators, streams) refers to it. So the collector finds those that nobody
 *    can reach, and `Attachment.forget()` ends them as `close()` does, but that they are lost as producers.
 * 3. What is claimed, in hand or on lease is one handle's and goes back with it, before its number is given to another. What it counted for
 *    as a producer ends with it. All of that is the entry's for other processes: its death gives everything back.
 * 4. The calls of all handles stand in one line for each direction, in the order in which they were made. The end of a handle ends its calls
 *    and no others; those behind them go on.
 * 5. There is one bell for each direction. It is up while a call waits in its line, or the thread is blocked on that side.
 */
import type { ProducerEnd } from '../../queue/producer-role';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError } from '../../errors';
import type { CallGroup } from '../../wait/call-line';
import { GETTERS, JOINERS, PUTTERS, fromNative, loadAddon, native } from './addon';
import type { NativeConfiguration, NativeOpenOptions } from './addon';
import { NativeEntry } from './native-entry';
import { EntryDoorbell } from './doorbell';
import { ReceiveBuffer } from './receive-buffer';
import { RecoveryWatch } from './recovery-channel';
import { sendBufferMemory } from './send-buffer';
import { WaitList } from './wait-list';

/** This thread's, by the file of the segment. */
const entries = new Map<string, SegmentEntry>();

export class SegmentEntry {
  readonly configuration: NativeConfiguration;
  readonly receiveBuffer: ReceiveBuffer;
  readonly consumers: WaitList;
  readonly producers: WaitList;
  readonly joiners: WaitList;
  private readonly lists: readonly WaitList[];
  private readonly bell: EntryDoorbell;
  /** Its queue, through one of its handles. */
  isShutDown = false;
  private handles = 0;
  private knowsSendBuffer = false;
  private encoderMemory: Uint8Array | undefined;
  private recoveries: RecoveryWatch | undefined;

  constructor(
    readonly native: NativeEntry,
    readonly name: string,
  ) {
    this.configuration = native.configuration;
    this.receiveBuffer = new ReceiveBuffer(native);
    this.bell = new EntryDoorbell(native, this.configuration, this);
    this.consumers = new WaitList(native, GETTERS, this.bell);
    this.producers = new WaitList(native, PUTTERS, this.bell);
    this.joiners = new WaitList(native, JOINERS, this.bell);
    this.lists = [this.consumers, this.producers, this.joiners];
    entries.set(this.configuration.file, this);
  }

  /** Something may be ready for those who wait, or a bell is down that should be up. */
  rung(): void {
    this.recoveries?.look();
    for (const list of this.lists) list.rung();
  }

  /** For a handle with this descriptor, which has come. */
  watchRecoveries(queue: QueueDescriptor): void {
    this.recoveries ??= new RecoveryWatch(this.native, queue);
  }

  /** Whether any call waits. */
  get isWaitedFor(): boolean {
    return this.lists.some((list) => list.isTaken);
  }

  /** Before items are put from the send buffer. */
  useSendBuffer(): void {
    if (this.knowsSendBuffer) return;
    native(() => this.native.setSendBuffer(sendBufferMemory()));
    this.knowsSendBuffer = true;
  }

  /** Before an item is put out of the memory that the encoder uses for one after the other. */
  useEncoderMemory(memory: Uint8Array): void {
    if (memory === this.encoderMemory) return;
    native(() => this.native.setEncoderMemory(memory));
    this.encoderMemory = memory;
  }

  /** One more handle; its number. */
  join(): number {
    const holder = this.native.join();
    this.handles++;
    return holder;
  }

  /** One has gone. */
  leave(holder: number, calls: CallGroup, producer: ProducerEnd | undefined): void {
    const goOn = this.lists.map((list) => list.hold());
    calls.giveUp(() => new QueueClosedError());
    for (const go of goOn) go();
    const isLast = --this.handles === 0;
    try {
      native(() => {
        if (!isLast) this.native.leave(holder);
        if (producer !== undefined) this.native.stopProducing(producer === 'closed');
      });
    } finally {
      if (isLast) this.close();
      else for (const list of this.lists) list.left(true);
    }
  }

  private close(): void {
    if (entries.get(this.configuration.file) === this) entries.delete(this.configuration.file);
    this.recoveries?.end();
    this.recoveries = undefined;
    for (const list of this.lists) list.close();
    this.bell.detach();
    this.native.close();
  }
}

/** The entry that a new handle would share; undefined: there is none, or the queue is to be a new one. */
function known(options: NativeOpenOptions): SegmentEntry | undefined {
  if (entries.size === 0 || options.create === 'exclusive') return undefined;
  const file = loadAddon().find(options);
  const entry = file === undefined ? undefined : entries.get(file);
  return entry?.name === options.name && !entry.native.isRetired() ? entry : undefined;
}

function opened(options: NativeOpenOptions): SegmentEntry {
  const own = new NativeEntry(options);
  // Its name may have come back to it since it was looked for.
  const entry = entries.get(own.configuration.file);
  if (entry === undefined) return new SegmentEntry(own, options.name);
  own.close();
  return entry;
}

/** The one that a new handle shares. @throws QueueNotFoundError, QueueExistsError, SegmentError */
export function entryFor(options: NativeOpenOptions): SegmentEntry {
  try {
    return known(options) ?? opened(options);
  } catch (error) {
    throw fromNative(error);
  }
}
