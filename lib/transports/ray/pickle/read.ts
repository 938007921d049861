/**
 * Reads a pickle into a graph of plain nodes (`types.ts`). It is a stack machine over data: where Python would import,
 * call or build something, this one makes a node that says so. Protocols 2 to 5, which is what Python 3 writes.
 *
 * Source of the opcodes: CPython's `Lib/pickletools.py`.
 */
import { asBuffer } from '../../../util/buffer-view';
import { PickleError, PyByteArray, PyDict, PyFloat, PyGlobal, PyList } from './types';
import { PyObject, PyPersistent, PySet, PyTuple } from './types';
import { DEFAULT_LIMITS } from './limits';
import type { ReadLimits } from './limits';
import { decodeInteger, decodeText } from './scalars';

/** Python 3 writes its own modules under their Python 2 names in protocol 2. */
const PYTHON_2_NAMES = new Map([
  ['__builtin__', 'builtins'],
  ['exceptions', 'builtins'],
  ['copy_reg', 'copyreg'],
]);

class Machine {
  private at = 0;
  private stack: unknown[] = [];
  private marks: number[] = [];
  private memo = new Map<number, unknown>();
  private objects = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly limits: Required<ReadLimits>,
  ) {}

  run(): unknown {
    if (this.bytes[0] !== 0x80) throw new PickleError('Not a pickle of protocol 2 to 5: it does not start with PROTO.');
    for (;;) {
      if (this.at >= this.bytes.length) throw new PickleError('The pickle ends before STOP.');
      const opcode = this.bytes[this.at++]!;
      if (opcode === 0x2e) {
        if (this.stack.length !== 1 || this.marks.length !== 0)
          throw this.malformed('STOP with other than one value on the stack');
        return this.pop();
      }
      this.step(opcode);
    }
  }

  private malformed(what: string): PickleError {
    return new PickleError(`Malformed pickle at byte ${this.at}: ${what}.`);
  }

  private take(length: number): Buffer {
    if (length > this.bytes.length - this.at)
      throw this.malformed(`${length} bytes announced, ${this.bytes.length - this.at} left`);
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  private uint(width: 1 | 2 | 4): number {
    return this.take(width).readUIntLE(0, width);
  }

  private length8(): number {
    const length = this.take(8).readBigUInt64LE(0);
    if (length > BigInt(this.bytes.length)) throw this.malformed(`${length} bytes announced`);
    return Number(length);
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end === -1) throw this.malformed('a line without an end');
    const text = decodeText(this.bytes.subarray(this.at, end));
    this.at = end + 1;
    return text;
  }

  private push(value: unknown): void {
    if (this.stack.length >= this.limits.maxStack)
      throw new PickleError(`The pickle holds more than ${this.limits.maxStack} values.`);
    this.stack.push(value);
  }

  private count(): void {
    if (++this.objects > this.limits.maxObjects) {
      throw new PickleError(`The pickle makes more than ${this.limits.maxObjects} objects.`);
    }
  }

  private pushObject(value: object): void {
    this.count();
    this.push(value);
  }

  private pop(): unknown {
    const floor = this.marks.length === 0 ? 0 : this.marks[this.marks.length - 1]!;
    if (this.stack.length <= floor) throw this.malformed('the stack is empty');
    return this.stack.pop();
  }

  private top(): unknown {
    const floor = this.marks.length === 0 ? 0 : this.marks[this.marks.length - 1]!;
    if (this.stack.length <= floor) throw this.malformed('the stack is empty');
    return this.stack[this.stack.length - 1];
  }

  private popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.malformed('no MARK to go back to');
    return this.stack.splice(mark);
  }

  private tuple(count: number): void {
    const items: unknown[] = [];
    for (let left = count; left > 0; left--) items.unshift(this.pop());
    this.pushObject(new PyTuple(items));
  }

  private remember(index: number): void {
    this.count();
    this.memo.set(index, this.top());
  }

  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.malformed(`memo entry ${index} was never stored`);
    this.push(value);
  }

  private append(target: unknown, items: unknown[]): void {
    // Item by item: a spread of millions of arguments would overflow the call stack.
    if (target instanceof PyList) for (const item of items) target.items.push(item);
    else if (target instanceof PyObject) target.steps.push({ kind: 'append', items });
    else throw this.malformed('APPEND to what is not a list');
  }

  private setItems(target: unknown, flat: unknown[]): void {
    if (flat.length % 2 !== 0) throw this.malformed('a key without a value');
    const entries: [unknown, unknown][] = [];
    for (let at = 0; at < flat.length; at += 2) entries.push([flat[at], flat[at + 1]]);
    if (target instanceof PyDict) for (const entry of entries) target.entries.push(entry);
    else if (target instanceof PyObject) target.steps.push({ kind: 'set', entries });
    else throw this.malformed('SETITEM on what is not a dict');
  }

  private step(opcode: number): void {
    if (!this.scalar(opcode) && !this.container(opcode) && !this.instance(opcode) && !this.move(opcode))
      throw this.malformed(`opcode 0x${opcode.toString(16).padStart(2, '0')} is not supported`);
  }

  /** Numbers, text, bytes, and what says how the pickle is made. @returns whether it is one of them, as the others do */
  private scalar(opcode: number): boolean {
    switch (opcode) {
      case 0x80: {
        const protocol = this.uint(1);
        if (protocol < 2 || protocol > 5) throw new PickleError(`Pickle protocol ${protocol}; 2 to 5 are known.`);
        break;
      }
      case 0x95: // FRAME: only a hint to readers of files
        this.take(8);
        break;
      case 0x4e:
        this.push(null);
        break;
      case 0x88:
        this.push(true);
        break;
      case 0x89:
        this.push(false);
        break;
      case 0x4b:
        this.push(this.uint(1));
        break;
      case 0x4d:
        this.push(this.uint(2));
        break;
      case 0x4a:
        this.push(this.take(4).readInt32LE(0));
        break;
      case 0x8a:
        this.push(decodeInteger(this.take(this.uint(1))));
        break;
      case 0x8b: {
        const length = this.uint(4);
        if (length > this.limits.maxIntegerBytes) throw new PickleError(`An integer of ${length} bytes.`);
        this.push(decodeInteger(this.take(length)));
        break;
      }
      case 0x47: {
        const value = this.take(8).readDoubleBE(0);
        this.push(Number.isInteger(value) ? new PyFloat(value) : value);
        break;
      }
      case 0x8c:
        this.push(decodeText(this.take(this.uint(1))));
        break;
      case 0x58:
        this.push(decodeText(this.take(this.uint(4))));
        break;
      case 0x8d:
        this.push(decodeText(this.take(this.length8())));
        break;
      case 0x43:
        this.push(Buffer.from(this.take(this.uint(1))));
        break;
      case 0x42:
        this.push(Buffer.from(this.take(this.uint(4))));
        break;
      case 0x8e:
        this.push(Buffer.from(this.take(this.length8())));
        break;
      case 0x96:
        this.pushObject(new PyByteArray(Buffer.from(this.take(this.length8()))));
        break;
      default:
        return false;
    }
    return true;
  }

  /** Lists, tuples, dicts and sets, and what goes into them. */
  private container(opcode: number): boolean {
    switch (opcode) {
      case 0x5d:
        this.pushObject(new PyList());
        break;
      case 0x7d:
        this.pushObject(new PyDict());
        break;
      case 0x8f:
        this.pushObject(new PySet());
        break;
      case 0x29:
        this.pushObject(new PyTuple());
        break;
      case 0x28: // MARK; each one costs a stack slot, so that they are bounded too
        if (this.marks.length >= this.limits.maxObjects) throw new PickleError('Too many marks.');
        this.marks.push(this.stack.length);
        break;
      case 0x61: {
        const item = this.pop();
        this.append(this.top(), [item]);
        break;
      }
      case 0x65: {
        const items = this.popMark();
        this.append(this.top(), items);
        break;
      }
      case 0x73: {
        const value = this.pop();
        const key = this.pop();
        this.setItems(this.top(), [key, value]);
        break;
      }
      case 0x75: {
        const items = this.popMark();
        this.setItems(this.top(), items);
        break;
      }
      case 0x90: {
        const items = this.popMark();
        const target = this.top();
        if (target instanceof PySet) for (const item of items) target.items.push(item);
        else if (target instanceof PyObject) target.steps.push({ kind: 'add', items });
        else throw this.malformed('ADDITEMS to what is not a set');
        break;
      }
      case 0x91:
        this.pushObject(new PySet(this.popMark(), true));
        break;
      case 0x74:
        this.pushObject(new PyTuple(this.popMark()));
        break;
      case 0x85:
        this.tuple(1);
        break;
      case 0x86:
        this.tuple(2);
        break;
      case 0x87:
        this.tuple(3);
        break;
      case 0x6c:
        this.pushObject(new PyList(this.popMark()));
        break;
      case 0x64: {
        const flat = this.popMark();
        const dict = new PyDict();
        this.pushObject(dict);
        this.setItems(dict, flat);
        break;
      }
      default:
        return false;
    }
    return true;
  }

  /** What Python would import, call or build. */
  private instance(opcode: number): boolean {
    switch (opcode) {
      case 0x63: {
        const module = this.line();
        this.pushObject(new PyGlobal(PYTHON_2_NAMES.get(module) ?? module, this.line()));
        break;
      }
      case 0x93: {
        const name = this.pop();
        const module = this.pop();
        if (typeof name !== 'string' || typeof module !== 'string')
          throw this.malformed('STACK_GLOBAL needs two strings');
        this.pushObject(new PyGlobal(module, name));
        break;
      }
      case 0x52: {
        const args = this.pop();
        this.pushObject(new PyObject('reduce', this.pop(), args));
        break;
      }
      case 0x81: {
        const args = this.pop();
        this.pushObject(new PyObject('newobj', this.pop(), args));
        break;
      }
      case 0x92: {
        const kwargs = this.pop();
        const args = this.pop();
        this.pushObject(new PyObject('newobj_ex', this.pop(), args, kwargs));
        break;
      }
      case 0x62: {
        const state = this.pop();
        const target = this.top();
        if (!(target instanceof PyObject)) throw this.malformed('BUILD on what is not an instance');
        target.steps.push({ kind: 'state', state });
        break;
      }
      case 0x51:
        this.pushObject(new PyPersistent(this.pop()));
        break;
      default:
        return false;
    }
    return true;
  }

  /** The memo, and the stack itself. */
  private move(opcode: number): boolean {
    switch (opcode) {
      case 0x94:
        this.remember(this.memo.size);
        break;
      case 0x71:
        this.remember(this.uint(1));
        break;
      case 0x72:
        this.remember(this.uint(4));
        break;
      case 0x68:
        this.recall(this.uint(1));
        break;
      case 0x6a:
        this.recall(this.uint(4));
        break;
      case 0x30:
        // Python's POP takes a MARK when one lies on top.
        if (this.marks.length > 0 && this.marks[this.marks.length - 1] === this.stack.length) this.marks.pop();
        else this.pop();
        break;
      case 0x31:
        this.popMark();
        break;
      case 0x32:
        this.push(this.top());
        break;
      default:
        return false;
    }
    return true;
  }
}

/**
 * Reads a pickle into nodes without converting them. Never executes anything, never touches a prototype.
 * @throws PickleError on malformed text and on what exceeds a limit.
 */
export function parsePickle(bytes: Uint8Array, limits: ReadLimits = {}): unknown {
  const all = { ...DEFAULT_LIMITS, ...limits };
  if (bytes.length > all.maxBytes)
    throw new PickleError(`A pickle of ${bytes.length} bytes; at most ${all.maxBytes} are read.`);
  return new Machine(asBuffer(bytes), all).run();
}
