/**
 * Writes JavaScript values, and the nodes of `types.ts`, as a pickle of protocol 4. Only what the client sends is needed,
 * so there are no frames, and values are memoised only where a cycle or an identity must survive (nodes, not plain values).
 */
import { types } from 'node:util';
import { nothingToSend } from '../../../codec/refusals';
import { primitiveOf, trueEntriesOf, trueValuesOf } from '../../../util/built-ins';
import { arrayCall, dateCall } from './calls';
import type { Call } from './calls';
import { DEFAULT_LIMITS } from './limits';
import { bytesIn, notSent, refuseLoss, refuseOwn } from './refusals';
import type { WriteLimits } from './limits';
import {
  isFrozenSet,
  isTuple,
  ndarrayInfo,
  PickleError,
  PyByteArray,
  PyDict,
  PyException,
  PyFloat,
  PyFragment,
} from './types';
import { PyGlobal, PyList, PyNode, PyObject, PyPersistent, PySet, PyTuple } from './types';

class Writer {
  private bytes = Buffer.allocUnsafe(1024);
  private at = 0;
  private depth = 0;
  private memoSize = 0;
  private readonly memo = new Map<object, number>();
  private readonly path = new Set<object>();

  constructor(
    private readonly maxBytes: number,
    private readonly maxDepth: number,
  ) {}

  finish(value: unknown): Buffer {
    this.opcode(0x80);
    this.opcode(4);
    this.write(value);
    this.opcode(0x2e);
    return this.bytes.subarray(0, this.at);
  }

  private room(length: number): void {
    const needed = this.at + length;
    if (needed <= this.bytes.length) return;
    if (needed > this.maxBytes) throw new PickleError(`The value takes more than ${this.maxBytes} bytes.`);
    const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  private opcode(code: number): void {
    this.room(1);
    this.bytes[this.at++] = code;
  }

  private uint32(value: number): void {
    this.room(4);
    this.at = this.bytes.writeUInt32LE(value, this.at);
  }

  private write(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.text(value);
      case 'number':
        return Number.isSafeInteger(value) && !Object.is(value, -0) ? this.integer(value) : this.float(value);
      case 'boolean':
        return this.opcode(value ? 0x88 : 0x89);
      case 'bigint':
        return this.long(value);
      case 'undefined':
        return this.opcode(0x4e);
      case 'object':
        return value === null ? this.opcode(0x4e) : this.nested(value);
      default:
        throw new PickleError(`A ${typeof value} cannot be sent to Python.`);
    }
  }

  private text(value: string): void {
    if (!(value as string & { isWellFormed(): boolean }).isWellFormed()) {
      throw new PickleError('A string with half of a surrogate pair cannot be sent to Python.');
    }
    // At most three bytes for each code unit, so that a short one fits its one-byte length.
    if (value.length <= 85) {
      this.room(2 + value.length * 3);
      const length = this.bytes.write(value, this.at + 2, 'utf8');
      this.bytes[this.at] = 0x8c;
      this.bytes[this.at + 1] = length;
      this.at += 2 + length;
      return;
    }
    const length = Buffer.byteLength(value);
    this.sized(0x58, 0x8d, length);
    this.bytes.write(value, this.at, 'utf8');
    this.at += length;
  }

  /** An opcode with a length of four bytes, or of eight, and room for what follows. */
  private sized(small: number, large: number, length: number): void {
    this.room(9 + length);
    if (length <= 0xffffffff && small !== large) {
      this.bytes[this.at++] = small;
      this.at = this.bytes.writeUInt32LE(length, this.at);
    } else {
      this.bytes[this.at++] = large;
      this.at = this.bytes.writeBigUInt64LE(BigInt(length), this.at);
    }
  }

  private binary(value: Uint8Array): void {
    if (value.length < 256) {
      this.room(2 + value.length);
      this.bytes[this.at++] = 0x43;
      this.bytes[this.at++] = value.length;
    } else {
      this.sized(0x42, 0x8e, value.length);
    }
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  private integer(value: number): void {
    this.room(5);
    if (value >= 0 && value < 0x100) {
      this.bytes[this.at++] = 0x4b;
      this.bytes[this.at++] = value;
    } else if (value >= 0 && value < 0x10000) {
      this.bytes[this.at++] = 0x4d;
      this.at = this.bytes.writeUInt16LE(value, this.at);
    } else if (value >= -0x80000000 && value <= 0x7fffffff) {
      this.bytes[this.at++] = 0x4a;
      this.at = this.bytes.writeInt32LE(value, this.at);
    } else {
      this.long(BigInt(value));
    }
  }

  /** Two's complement, little-endian, as short as it can be. */
  private long(value: bigint): void {
    const magnitude = value < 0n ? -value - 1n : value;
    const length = value === 0n ? 0 : Math.floor(magnitude.toString(16).length / 2) + 1;
    const unsigned = BigInt.asUintN(length * 8, value);
    const digits = Buffer.from(length === 0 ? '' : unsigned.toString(16).padStart(length * 2, '0'), 'hex').reverse();
    this.room(5 + length);
    if (length < 256) {
      this.bytes[this.at++] = 0x8a;
      this.bytes[this.at++] = length;
    } else {
      this.bytes[this.at++] = 0x8b;
      this.at = this.bytes.writeUInt32LE(length, this.at);
    }
    this.bytes.set(digits, this.at);
    this.at += length;
  }

  private float(value: number): void {
    this.room(9);
    this.bytes[this.at++] = 0x47;
    this.at = this.bytes.writeDoubleBE(value, this.at);
  }

  private global(module: string, name: string): void {
    this.text(module);
    this.text(name);
    this.opcode(0x93);
  }

  private call({ module, name, args }: Call): void {
    this.global(module, name);
    this.tuple(args);
    this.opcode(0x52);
  }

  private nested(value: object): void {
    if (value instanceof PyNode) this.deeper(() => this.node(value));
    else this.enter(value, () => this.plain(value));
  }

  private enter(value: object, write: () => void): void {
    if (this.path.has(value)) throw new PickleError('A value that contains itself cannot be sent to Python.');
    this.path.add(value);
    this.deeper(write);
    this.path.delete(value);
  }

  private deeper(write: () => void): void {
    if (++this.depth > this.maxDepth) throw new PickleError(`The value is nested deeper than ${this.maxDepth} levels.`);
    write();
    this.depth--;
  }

  private plain(value: object): void {
    if (Array.isArray(value)) return isTuple(value) ? this.tuple(value) : this.list(value);
    if (ArrayBuffer.isView(value)) return this.view(value);
    if (value instanceof PyException) return this.write(PyException.rawOf(value));
    if (types.isMap(value) || types.isSet(value) || types.isDate(value) || types.isAnyArrayBuffer(value))
      refuseOwn(value, 0);
    if (types.isMap(value)) return this.dict(trueEntriesOf(value));
    if (types.isSet(value)) return this.set(value);
    if (types.isDate(value)) return this.call(dateCall(value));
    if (types.isAnyArrayBuffer(value)) return this.binary(new Uint8Array(value));
    if (types.isBoxedPrimitive(value)) {
      const primitive = primitiveOf(value);
      refuseOwn(value, typeof primitive === 'string' ? primitive.length : 0);
      return this.write(primitive);
    }
    const boxed = value.valueOf();
    if (typeof boxed !== 'object' && typeof boxed !== 'function') return this.write(boxed);
    const toJSON = (value as { toJSON?: unknown }).toJSON;
    if (typeof toJSON === 'function') return this.write(toJSON.call(value));
    if (types.isNativeError(value)) throw new PickleError(`A ${value.constructor.name} cannot be sent to Python.`);
    const refused = nothingToSend(value);
    if (refused !== undefined) throw notSent(refused);
    return this.dict(Object.entries(value));
  }

  private list(items: readonly unknown[]): void {
    this.opcode(0x5d);
    if (items.length === 0) return;
    this.opcode(0x28);
    refuseLoss(items);
    for (const item of items) this.write(item);
    this.opcode(0x65);
  }

  private tuple(items: readonly unknown[], write = (item: unknown): void => this.write(item)): void {
    if (items.length === 0) return this.opcode(0x29);
    refuseLoss(items);
    if (items.length > 3) this.opcode(0x28);
    for (const item of items) write(item);
    this.opcode(items.length > 3 ? 0x74 : 0x84 + items.length);
  }

  private dict(entries: Iterable<readonly [unknown, unknown]>): void {
    this.opcode(0x7d);
    this.opcode(0x28);
    for (const [key, value] of entries) {
      this.hashable(key);
      this.write(value);
    }
    this.opcode(0x75);
  }

  /** Keys and members of sets: Python wants them immutable, so that arrays go as tuples there and sets as frozensets. */
  private hashable(value: unknown): void {
    if (Array.isArray(value)) return this.enter(value, () => this.tuple(value, (item) => this.hashable(item)));
    if (types.isSet(value)) return this.enter(value, () => this.set(value, true));
    if (types.isMap(value) || (typeof value === 'object' && value !== null && isPlain(value))) {
      throw new PickleError('An object or a Map as a key, or in a set, cannot be sent to Python: dicts have no hash.');
    }
    this.write(value);
  }

  private set(value: Set<unknown>, frozen = isFrozenSet(value)): void {
    if (!frozen) this.opcode(0x8f);
    this.opcode(0x28);
    for (const item of trueValuesOf(value)) this.hashable(item);
    this.opcode(frozen ? 0x91 : 0x90);
  }

  private view(value: ArrayBufferView): void {
    const array = arrayCall(value);
    if (array === undefined) return this.binary(bytesIn(value));
    if (ndarrayInfo(value) === undefined) refuseOwn(value, (value as Uint8Array).length);
    this.call(array);
  }

  // ── nodes: identity and cycles are kept

  private recall(node: object): boolean {
    const index = this.memo.get(node);
    if (index === undefined) return false;
    this.opcode(0x6a);
    this.uint32(index);
    return true;
  }

  private remember(node: object): void {
    // An explicit number, so that a fragment made alone can stand anywhere in another pickle.
    const index = this.memoSize++;
    this.memo.set(node, index);
    this.opcode(0x72);
    this.uint32(index);
  }

  private fragment(bytes: Buffer): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  private node(node: object): void {
    if (node instanceof PyFloat) return this.float(node.value);
    if (node instanceof PyFragment) return this.fragment(node.bytes);
    if (this.recall(node)) return;
    if (node instanceof PyGlobal) {
      this.global(node.module, node.name);
      return this.remember(node);
    }
    if (node instanceof PyByteArray) {
      this.call({ module: 'builtins', name: 'bytearray', args: [node.bytes] });
      return this.remember(node);
    }
    if (node instanceof PyList) {
      this.opcode(0x5d);
      this.remember(node);
      return this.after({ kind: 'append', items: node.items });
    }
    if (node instanceof PyDict) {
      this.opcode(0x7d);
      this.remember(node);
      return this.after({ kind: 'set', entries: node.entries });
    }
    if (node instanceof PySet && !node.frozen) {
      this.opcode(0x8f);
      this.remember(node);
      return this.after({ kind: 'add', items: node.items });
    }
    this.immutable(node);
  }

  /**
   * What must be complete before it can be memoised. When it contains itself by way of something mutable, writing its
   * parts has already written it: drop those parts and refer to it.
   */
  private immutable(node: object): void {
    const marked = node instanceof PyTuple || node instanceof PySet;
    if (marked) this.opcode(0x28);
    const parts = marked ? node.items : node instanceof PyObject ? recipe(node) : [(node as PyPersistent).id];
    for (const part of parts) this.write(part);
    if (this.memo.has(node)) {
      if (marked) this.opcode(0x31);
      else for (let left = parts.length; left > 0; left--) this.opcode(0x30);
      this.recall(node);
      return;
    }
    if (node instanceof PyTuple) this.opcode(0x74);
    else if (node instanceof PySet) this.opcode(0x91);
    else if (node instanceof PyObject) this.opcode(CONSTRUCTIONS[node.construction]);
    else this.opcode(0x51);
    this.remember(node);
    if (node instanceof PyObject) for (const step of node.steps) this.after(step);
  }

  private after(step: PyObject['steps'][number]): void {
    if (step.kind === 'state') {
      this.write(step.state);
      return this.opcode(0x62);
    }
    this.opcode(0x28);
    if (step.kind === 'set') {
      for (const [key, value] of step.entries) {
        this.write(key);
        this.write(value);
      }
    } else {
      for (const item of step.items) this.write(item);
    }
    this.opcode(step.kind === 'append' ? 0x65 : step.kind === 'set' ? 0x75 : 0x90);
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (prototype as { constructor?: { name?: string } }).constructor?.name === 'Object';
}

const CONSTRUCTIONS = { reduce: 0x52, newobj: 0x81, newobj_ex: 0x92 } as const;

function recipe(node: PyObject): unknown[] {
  return node.construction === 'newobj_ex' ? [node.callable, node.args, node.kwargs] : [node.callable, node.args];
}

/**
 * The pickle of a value. The table of what becomes what is in docs/ray.md.
 * @throws PickleError on what Python cannot hold: functions, symbols, cycles, lone surrogates, invalid dates.
 */
export function writePickle(value: unknown, limits: WriteLimits = {}): Buffer {
  return new Writer(limits.maxBytes ?? DEFAULT_LIMITS.maxBytes, limits.maxDepth ?? DEFAULT_LIMITS.maxDepth).finish(
    value,
  );
}

/**
 * A value written now, to be a part of a pickle written later; only parts that are plain values may stand beside it there.
 * @throws PickleError as writePickle does.
 */
export function writeFragment(value: unknown, limits: WriteLimits = {}): PyFragment {
  const whole = writePickle(value, limits);
  return new PyFragment(whole.subarray(2, whole.length - 1));
}
