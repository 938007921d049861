/** Keys that somebody presses, one by one and unseen. Nothing where stdin is no terminal. */

/** @returns what gives the terminal back as it was. Ctrl-C stays what it is. */
export function onKeys(pressed: (key: string) => void): () => void {
  const { stdin } = process;
  if (stdin.isTTY !== true) return () => {};
  const read = (text: Buffer): void => {
    for (const key of text.toString()) {
      if (key === '\u0003') process.kill(process.pid, 'SIGINT');
      else pressed(key);
    }
  };
  stdin.setRawMode(true);
  stdin.on('data', read);
  // A process is not kept by its terminal.
  stdin.resume().unref();
  return () => {
    stdin.off('data', read);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
