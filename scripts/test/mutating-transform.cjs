/** What jest transforms a file with while mutations of it are tried: all of them are in it, and the environment says which one is on. */
'use strict';

const { relative, resolve } = require('node:path');
const swc = require('@swc/jest');
const { FILES } = require('./mutated-files.cjs');
const { instrument } = require('./ts-mutations.cjs');

const root = resolve(__dirname, '../..');

module.exports = {
  createTransformer(options) {
    const inner = swc.createTransformer(options);
    const mutated = (source, path) => {
      const file = relative(root, path);
      return FILES.includes(file) ? instrument(file, source) : source;
    };
    return {
      ...inner,
      process: (source, path, jest) => inner.process(mutated(source, path), path, jest),
      getCacheKey: (source, path, jest) => inner.getCacheKey(mutated(source, path), path, jest),
    };
  },
};
