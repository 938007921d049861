/** Colours, where a terminal shows them and nobody has asked for none (https://no-color.org). */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Colour = keyof typeof CODES;

export const hasColours = (stream: NodeJS.WriteStream = process.stdout): boolean =>
  stream.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';

export const coloured = (text: string, colour: Colour | undefined): string =>
  colour === undefined ? text : `\u001b[${CODES[colour]}m${text}\u001b[0m`;
