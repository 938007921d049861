/** A codec in which the program does something else: what it calls `inside` runs in each encoding and decoding. */
import { registerCodec } from '../../lib';

export function registerHookedCodec(name: string, id: number, inside: () => void): void {
  registerCodec({
    name,
    id,
    encode: (value) => {
      const bytes = Buffer.from(JSON.stringify(value));
      inside();
      return bytes;
    },
    decode: (bytes) => {
      inside();
      // Read afterwards: whoever came in between must not have written over them.
      return JSON.parse(Buffer.from(bytes).toString()) as unknown;
    },
  });
}
