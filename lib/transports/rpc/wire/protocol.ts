/** The messages of proto/sagequeue/v1/queue.proto as gRPC method definitions, and the numbers both sides agree on. */
import type { Grpc } from './grpc';
import { loadProtobuf } from './grpc';
import { makeMessages } from './generated/messages';
import type { ClientFrame, Integer, Range, ServerFrame } from './generated/types';

export type * from './generated/types';

export const PROTOCOL_VERSION = 1;
/** What a frame may need beside one item of the greatest length. */
export const FRAME_OVERHEAD_BYTES = 64 * 1024;
/** Batches are cut at this size, so that one big transfer does not hold up the rest of a connection. */
export const BATCH_BYTES = 256 * 1024;
export const BATCH_ITEMS = 4096;
/** Trailing metadata of a stream that was refused: the error code of the package. */
export const CODE_HEADER = 'sage-queue-code';
export const CANCELLED = 'CANCELLED';
/** The failure of a join at a queue that does not know what others hold. */
export const CANNOT_KNOW = 'CANNOT_KNOW';
/** Codes that only travel in CODE_HEADER: try again later. */
export const STOPPING = 'STOPPING';
export const BUSY = 'BUSY';

interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface Messages {
  sagequeue: { v1: { ClientFrame: MessageType<ClientFrame>; ServerFrame: MessageType<ServerFrame> } };
  grpc: {
    health: { v1: Record<string, MessageType<unknown>> };
    reflection: { v1: Record<string, MessageType<unknown>> };
  };
}

let messages: Messages | undefined;
export function loadMessages(): Messages {
  return (messages ??= makeMessages(loadProtobuf()) as Messages);
}

export function serializer<T>(type: MessageType<T>): (value: T) => Buffer {
  return (value) => type.encode(value).finish() as Buffer;
}

/** Attach as a gRPC method; the same object serves client and server. */
export function attachMethod(): Grpc.MethodDefinition<ClientFrame, ServerFrame> {
  const { ClientFrame: Client, ServerFrame: Server } = loadMessages().sagequeue.v1;
  return {
    path: '/sagequeue.v1.QueueService/Attach',
    requestStream: true,
    responseStream: true,
    requestSerialize: serializer(Client),
    requestDeserialize: (bytes) => Client.decode(bytes),
    responseSerialize: serializer(Server),
    responseDeserialize: (bytes) => Server.decode(bytes),
  };
}

/** A uint64 as a number; sequence numbers stay far below 2^53. */
export function toNumber(value: Integer | null | undefined): number {
  if (value === null || value === undefined) return 0;
  return typeof value === 'number' ? value : value.toNumber();
}

/** @param ranges in order, none into another */
export function covers(ranges: readonly Range[], number: number): boolean {
  let [from, to] = [0, ranges.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (toNumber(ranges[middle]!.first) + toNumber(ranges[middle]!.count) <= number) from = middle + 1;
    else to = middle;
  }
  return from < ranges.length && toNumber(ranges[from]!.first) <= number;
}
