// The blocks of code of a page. Plain JavaScript: what installs the package in other runtimes reads them too.
const FENCE = /^( *)```(\w*)([^\n]*)\n([\s\S]*?)^ *```$/gm;

/** @param page its path @param text what stands there */
exports.blocksIn = (page, text) =>
  [...text.matchAll(FENCE)].map(({ 1: indent, 2: language, 3: words, 4: code, index }) => ({
    page,
    line: text.slice(0, index).split('\n').length + 1,
    language,
    words: words.split(/\s+/).filter(Boolean),
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));

exports.withoutBlocks = (text) => text.replace(FENCE, '');
