/** In a child: what becomes of handles. What nobody can reach is collected, and then closed; `holds` says when that has shown. */
export const HANDLES = `
  const collect = async (what, holds) => {
    for (let count = 0; !(await holds()); count++) {
      if (count > 2000) throw new Error('not collected: ' + what);
      gc();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  // Of this process: another test may look at all queues of the host.
  const attached = async (queue) => (await queue.stats()).attached.filter(({ pid }) => pid === process.pid).length;
  const outcome = (call) => call.then((value) => value ?? 'done', (error) => error.code);
  const turn = () => new Promise(setImmediate);
`;
export const GC = { flags: ['--expose-gc'] };
