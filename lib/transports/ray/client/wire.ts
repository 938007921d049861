/**
 * The messages of Ray Client (package `ray.rpc`, proto3) that are used here, encoded by hand: two dozen fields of four
 * kinds are less than any library that would do it. Field numbers are the same from Ray 2.3 to 2.58.
 */

/** A message as it is built up. @internal */
export class Fields {
  private readonly parts: Uint8Array[] = [];

  /** Zero is proto3's default and is left out. */
  int(field: number, value: number): this {
    if (value !== 0) this.parts.push(varint(field << 3), varint(value));
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.int(field, value ? 1 : 0);
  }

  bytes(field: number, value: Uint8Array | undefined): this {
    if (value === undefined) return this;
    this.parts.push(varint((field << 3) | 2), varint(value.length), value);
    return this;
  }

  text(field: number, value: string | undefined): this {
    return value === undefined || value === '' ? this : this.bytes(field, Buffer.from(value));
  }

  finish(): Buffer {
    return Buffer.concat(this.parts);
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left % 0x80) | 0x80);
    left = Math.floor(left / 0x80);
  }
  bytes.push(left);
  return Uint8Array.from(bytes);
}

type Field = { readonly number: number; readonly int: number; readonly bytes: Buffer };
const NO_BYTES = Buffer.alloc(0);

/** Every field of a message in order. @throws Error when the message is cut short. @internal */
export function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = message[at++];
      if (byte === undefined || scale > 2 ** 63) throw new Error('Malformed protocol buffer.');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = next();
    const number = Math.floor(key / 8);
    const kind = key % 8;
    if (kind === 0) {
      yield { number, int: next(), bytes: NO_BYTES };
      continue;
    }
    const length = kind === 2 ? next() : kind === 5 ? 4 : kind === 1 ? 8 : -1;
    if (length < 0 || length > message.length - at) throw new Error('Malformed protocol buffer.');
    yield { number, int: 0, bytes: message.subarray(at, at + length) };
    at += length;
  }
}

// ── requests

/** The number of each request in `DataRequest`, and of its answer in `DataResponse`. */
export const REQUEST = {
  get: 2,
  put: 3,
  release: 4,
  connectionInfo: 5,
  init: 6,
  connectionCleanup: 8,
  acknowledge: 9,
  task: 10,
  terminate: 11,
  listNamedActors: 12,
} as const;
export type RequestKind = keyof typeof REQUEST;

export const TASK = { function: 0, actor: 1, method: 2, namedActor: 4 } as const;

export function encodeRequest(reqId: number, kind: RequestKind, body: Uint8Array): Buffer {
  return new Fields().int(1, reqId).bytes(REQUEST[kind], body).finish();
}

/** `job_config` stays empty: the server then makes its own. `kwargs` go to `ray.init()` there. */
export function encodeInit(kwargs: object, graceSeconds: number): Buffer {
  return new Fields().text(2, JSON.stringify(kwargs)).int(3, graceSeconds).finish();
}

export interface Task {
  type: (typeof TASK)[keyof typeof TASK];
  name: string;
  /** The actor, or the class in the object store. */
  payloadId?: Uint8Array;
  clientId: string;
  namespace?: string;
  /** Pickled options of `.options(…)`. */
  options?: Uint8Array;
  /** The pickle of (args, kwargs). */
  data: Uint8Array;
}

/** One chunk whatever its size: several leave the server's collector dirty when the connection breaks between them. */
export function encodeTask(task: Task): Buffer {
  return new Fields()
    .int(1, task.type)
    .text(2, task.name)
    .bytes(3, task.payloadId)
    .text(6, task.clientId)
    .bytes(7, task.options && new Fields().bytes(1, task.options).finish())
    .text(9, task.namespace)
    .bytes(10, task.data)
    .int(12, 1)
    .finish();
}

export function encodePut(data: Uint8Array): Buffer {
  return new Fields().bytes(1, data).int(4, 1).int(5, data.length).finish();
}

/** Asynchronous: the answer comes in chunks, from `startChunk` on, when the value is there. */
export function encodeGet(id: Uint8Array, startChunk: number): Buffer {
  return new Fields().bool(3, true).bytes(4, id).int(5, startChunk).finish();
}

export function encodeRelease(ids: readonly Uint8Array[]): Buffer {
  const fields = new Fields();
  for (const id of ids) fields.bytes(1, id);
  return fields.finish();
}

export function encodeAcknowledge(reqId: number): Buffer {
  return new Fields().int(1, reqId).finish();
}

export function encodeTerminateActor(clientId: string, actorId: Uint8Array, noRestart: boolean): Buffer {
  const actor = new Fields().bytes(1, actorId).bool(2, noRestart).finish();
  return new Fields().text(1, clientId).bytes(2, actor).finish();
}

export function encodeListNamedActors(allNamespaces: boolean): Buffer {
  return new Fields().bool(1, allNamespaces).finish();
}

/** `ClusterInfoRequest{type: PING}`. */
export const PING = new Fields().int(1, 6).finish();

// ── answers

export interface DataResponse {
  readonly reqId: number;
  /** The number of the kind, as in REQUEST. 0: an answer without content. */
  readonly kind: number;
  readonly body: Buffer;
}

export function decodeResponse(message: Buffer): DataResponse {
  let reqId = 0;
  let kind = 0;
  let body: Buffer = NO_BYTES;
  for (const field of fieldsOf(message)) {
    if (field.number === 1) reqId = field.int;
    else {
      kind = field.number;
      body = field.bytes;
    }
  }
  return { reqId, kind, body };
}

export function decodeInit(body: Buffer): { ok: boolean; message: string } {
  const answer = { ok: false, message: '' };
  for (const field of fieldsOf(body)) {
    if (field.number === 1) answer.ok = field.int !== 0;
    else if (field.number === 2) answer.message = field.bytes.toString();
  }
  return answer;
}

export interface ConnectionInfo {
  rayVersion: string;
  pythonVersion: string;
}

export function decodeConnectionInfo(body: Buffer): ConnectionInfo {
  const info = { rayVersion: '', pythonVersion: '' };
  for (const field of fieldsOf(body)) {
    if (field.number === 2) info.rayVersion = field.bytes.toString();
    else if (field.number === 4) info.pythonVersion = field.bytes.toString();
  }
  return info;
}

export interface Ticket {
  valid: boolean;
  returnIds: Buffer[];
  error: Buffer;
}

export function decodeTicket(body: Buffer): Ticket {
  const ticket: Ticket = { valid: false, returnIds: [], error: NO_BYTES };
  for (const field of fieldsOf(body)) {
    if (field.number === 1) ticket.valid = field.int !== 0;
    else if (field.number === 2) ticket.returnIds.push(Buffer.from(field.bytes));
    else if (field.number === 3) ticket.error = field.bytes;
  }
  return ticket;
}

export interface PutAnswer {
  id: Buffer;
  valid: boolean;
  error: Buffer;
}

export function decodePut(body: Buffer): PutAnswer {
  const answer: PutAnswer = { id: NO_BYTES, valid: false, error: NO_BYTES };
  for (const field of fieldsOf(body)) {
    if (field.number === 1) answer.id = Buffer.from(field.bytes);
    else if (field.number === 2) answer.valid = field.int !== 0;
    else if (field.number === 3) answer.error = field.bytes;
  }
  return answer;
}

export interface GetChunk {
  valid: boolean;
  data: Buffer;
  error: Buffer;
  chunkId: number;
  totalChunks: number;
}

export function decodeGet(body: Buffer): GetChunk {
  const chunk: GetChunk = { valid: false, data: NO_BYTES, error: NO_BYTES, chunkId: 0, totalChunks: 0 };
  for (const field of fieldsOf(body)) {
    if (field.number === 1) chunk.valid = field.int !== 0;
    else if (field.number === 2) chunk.data = field.bytes;
    else if (field.number === 3) chunk.error = field.bytes;
    else if (field.number === 4) chunk.chunkId = field.int;
    else if (field.number === 5) chunk.totalChunks = field.int;
  }
  return chunk;
}

export function decodeTerminate(body: Buffer): boolean {
  for (const field of fieldsOf(body)) if (field.number === 1) return field.int !== 0;
  return false;
}

/** One namespace's actors are listed by name alone. */
export function decodeNamedActors(body: Buffer, namespace: string): { name: string; namespace: string }[] {
  for (const field of fieldsOf(body)) {
    if (field.number !== 1) continue;
    const actors = JSON.parse(field.bytes.toString()) as (string | { name: string; namespace: string })[];
    return actors.map((actor) => (typeof actor === 'string' ? { name: actor, namespace } : actor));
  }
  return [];
}
