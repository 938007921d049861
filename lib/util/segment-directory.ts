/** Where this process looks for segments; the core reads the same variable. */
export const segmentDirectory = (): string => {
  const asked = process.env.SAGE_QUEUE_DIR;
  if (asked !== undefined && asked !== '') return asked.replace(/(?<=.)\/+$/, '');
  return process.platform === 'darwin' ? '/private/tmp' : '/dev/shm';
};
