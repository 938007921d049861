/** Why a call failed travels in a header, and may name what a client has sent. */

/** Some clients take 8 KiB of headers in all, and a character is up to nine bytes there. */
const MOST_CHARACTERS = 600;

/** As much of a text as fits. */
export function inHeader(text: string): string {
  if (text.length <= MOST_CHARACTERS) return text;
  // By way of bytes, since half a character cannot be sent.
  return `${Buffer.from(text.slice(0, MOST_CHARACTERS)).toString()}…`;
}
