/** What the descriptor factories take. Sizes are in bytes where the name ends in `Bytes`; `maxsize` counts items. */
import type { Schema } from './schema';

/** 'auto' (default): a Uint8Array goes as raw bytes and arrives as a Buffer, everything else as MessagePack. */
export type CodecName = 'auto' | 'msgpack' | 'json' | 'raw' | 'v8' | (string & {});

/** What `createLocalQueue` takes. */
export interface LocalOptions {
  /** 0 = unbounded (default). */
  maxsize?: number;
  /** Items are checked when they are put; they go through by reference all the same. */
  schema?: Schema;
}

/** What the shared-memory types have in common. */
export interface NativeOptions {
  /** Items. Default 1000; 0 = as many as the bytes allow. A queue of maxsize n takes exactly n items, as long as their bytes fit; out of bytes is full too. */
  maxsize?: number;
  /** Bytes of payload the segment reserves; an item that can never fit is ItemTooLargeError at once. */
  capacityBytes?: number;
  /** How items become bytes. Default 'auto'; not together with a schema. */
  codec?: CodecName;
  /** What every item looks like: they are checked when they are put, and travel several times as fast as with codec 'auto'. At most 64 KiB of JSON. */
  schema?: Schema;
  /** Permission bits of the segment. Default 0o600. */
  mode?: number;
}

/** What `createShmQueue` takes. */
export type ShmOptions = NativeOptions;

/** What `createSageQueue` takes. */
export interface SageOptions extends NativeOptions {
  /** Remove the segment once the last attached process has left (or is found dead) and the queue is empty; items are never removed with it. Default true. */
  autoCleanup?: boolean;
  /** Isolates equal names. */
  namespace?: string;
  /** Adds the owner's uid to the name so that two users never meet by accident. Default true. */
  enableMultiTenant?: boolean;
}

/** Credentials are never metadata: they go into `ResolveOptions`. */
export interface RpcOptions {
  /** Items. Left out, the served queue is taken as it is. */
  maxsize?: number;
  /** Default: plain text to this machine, TLS with the system's authorities to every other. */
  tls?: 'off' | 'system' | { ca: string };
  /** How items become bytes. Default 'auto'; not together with a schema. */
  codec?: CodecName;
  /** What every item looks like, as the queue that is served has it. */
  schema?: Schema;
}

/** What `createRayQueue` and `createRayActorQueue` take. */
export interface RayOptions {
  /** Items. Default 0: no limit. */
  maxsize?: number;
  /** `ray://host:10001`. Default: $RAY_ADDRESS. */
  address?: string;
  /** Where the actor's name lies. Default `sage_queue`. */
  namespace?: string;
  /** ray_actor: make a queue actor under that name when there is none. Default true. */
  create?: boolean;
}

/** What `createAutoQueue` takes. */
export interface AutoOptions extends SageOptions {
  /** Where readers on other hosts reach the queue. */
  rpc?: { serverAddress: string; port: number; tls?: RpcOptions['tls'] };
}
