/**
 * Finds what can be changed in a file of C++: calls and assignments that can be left out, conditions and their parts that can be fixed,
 * and literals that can be inverted. Reads the code as it is formatted here, not C++ at large.
 */

const KEYWORDS =
  /^(return|if|for|while|do|else|case|default|try|catch|lock\.|break|continue|const|auto|using|template|struct|class|public|private|protected|throw|new|delete|static|constexpr|friend|typedef|namespace|enum|inline|explicit|virtual|static_assert|failpoint|Memory::point|CHECK)\b/;
const STATEMENT =
  /^(\+\+|--)?[A-Za-z_:][\w:]*((\.|->)\w+|\[[^\]]*\]|\([^()]*\)(?=\.|->))*\s*(\(|[+\-|&]?=(?!=)|\+\+|--)/;

/** The same text with comments and literals of text blanked out. */
function blank(text) {
  return text.replace(/\/\/[^\n]*|\/\*[^]*?\*\/|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])'|^#[^\n]*/gm, (found) =>
    found.replace(/[^\n]/g, ' '),
  );
}

function closing(text, open) {
  for (let depth = 0, at = open; at < text.length; at++) {
    if ('([{'.includes(text[at])) depth++;
    if (')]}'.includes(text[at]) && --depth === 0) return at;
  }
  throw new Error(`nothing closes what opens at ${open}`);
}

/** Whether what encloses `at` most closely is a list in parentheses, such as the head of a loop. */
function isInList(text, at) {
  for (let depth = 0; --at >= 0;) {
    if (')]}'.includes(text[at])) depth++;
    else if ('([{'.includes(text[at]) && depth-- === 0) return text[at] !== '{';
  }
  return false;
}

/** Operands of the top-level && or || of an expression. */
function operands(text, from, to) {
  const cuts = [];
  let operator;
  for (let depth = 0, at = from; at < to; at++) {
    if ('([{'.includes(text[at])) depth++;
    if (')]}'.includes(text[at])) depth--;
    const two = text.slice(at, at + 2);
    if (depth !== 0 || (two !== '&&' && two !== '||')) continue;
    if (operator !== undefined && operator !== two) return { operator: undefined, ranges: [] };
    operator = two;
    cuts.push(at++);
  }
  const ends = [...cuts, to];
  return {
    operator,
    ranges: operator === undefined ? [] : ends.map((end, index) => [index === 0 ? from : cuts[index - 1] + 2, end]),
  };
}

/** Bodies of functions, [from, to, name]: inside braces that follow parameters. */
function bodies(text) {
  const ranges = [];
  for (const found of text.matchAll(
    /\)\s*(?:const\s*)?(?:noexcept\s*)?(?:override\s*)?(?:->\s*[\w:<>]+\s*)?(?::[^;{}]*(?:\{[^{}]*\}[^;{}]*)*?)?\{/g,
  )) {
    const open = found.index + found[0].length - 1;
    if (ranges.some(([from, to]) => open > from && open < to)) continue;
    let at = found.index;
    for (let depth = 0; at > 0; at--) {
      if (text[at] === ')') depth++;
      if (text[at] === '(' && --depth === 0) break;
    }
    ranges.push([open, closing(text, open), /[~\w]*$/.exec(text.slice(0, at))[0]]);
  }
  return ranges;
}

/** What can be changed: { name, file, edits(number) } with edits as [at, text] insertions. */
export function findMutations(file, source) {
  const text = blank(source);
  const inBody = bodies(text);
  const isCode = (at) => inBody.some(([from, to]) => at > from && at < to);
  const functionAt = (at) => inBody.find(([from, to]) => at > from && at < to)?.[2] ?? '';
  const found = [];
  const add = (at, to, kind, wraps) => {
    const what = source
      .slice(at, to)
      .replace(/\/\/[^\n]*/g, '')
      .replace(/\s+/g, ' ')
      .trim();
    found.push({ at, what: `${functionAt(at)}: ${what} [${kind}]`, wraps });
  };
  const wrap = (from, to, kind, call) => {
    while (/\s/.test(text[from])) from++;
    add(from, to, kind, (number) => [
      [from, `sage_mutants::${call}(${number}, static_cast<bool>(`, 1],
      [to, '))', 0],
    ]);
  };
  for (const match of text.matchAll(/\bif \(/g)) {
    const open = match.index + match[0].length - 1;
    const end = closing(text, open);
    if (
      !isCode(open) ||
      text.slice(open, end).includes(';') ||
      /[^=!<>]=[^=]/.test(text.slice(open, end).replace(/\[[^\]]*\]/g, ''))
    )
      continue;
    wrap(open + 1, end, 'never', 'never');
    wrap(open + 1, end, 'always', 'always');
    const { operator, ranges } = operands(text, open + 1, end);
    for (const [from, to] of ranges) wrap(from, to, 'left out', operator === '&&' ? 'always' : 'never');
  }
  for (const match of text.matchAll(/\breturn ([^;]*);/g)) {
    const from = match.index + 'return '.length;
    const to = from + match[1].length;
    const { operator, ranges } = operands(text, from, to);
    if (!isCode(from) || match[1].includes('{') || match[1].includes('?')) continue;
    for (const [start, end] of ranges) wrap(start, end, 'left out', operator === '&&' ? 'always' : 'never');
  }
  for (const match of text.matchAll(/(?<=[;{}]|else|\bfor \([^;{}]*\))\s+(?=[A-Za-z_+-])/g)) {
    const at = match.index + match[0].length;
    const rest = text.slice(at);
    if (!isCode(at) || KEYWORDS.test(rest) || !STATEMENT.test(rest) || isInList(text, at)) continue;
    let end = at;
    while (text[end] !== ';') end = '([{'.includes(text[end]) ? closing(text, end) + 1 : end + 1;
    add(at, end, 'left out', (number) => [[at, `if (!sage_mutants::is(${number})) `, 1]]);
  }
  for (const match of text.matchAll(/(?<=[(,]\s*)(true|false)(?=\s*[,);])/g)) {
    const at = match.index;
    if (!isCode(at)) continue;
    const line = source.slice(source.lastIndexOf('\n', at) + 1, source.indexOf('\n', at)).trim();
    found.push({
      at,
      what: `${functionAt(at)}: ${line} [${match[1]} inverted]`,
      wraps: (number) => [
        [at, '(', 1],
        [at + match[1].length, ` != sage_mutants::is(${number}))`, 0],
      ],
    });
  }
  for (const match of text.matchAll(/(?<=(?<!== )(?<=[\s(]))([a-z]\w*)(?= \? )/g)) {
    const at = match.index;
    if (!isCode(at)) continue;
    wrap(at, at + match[1].length, 'never', 'never');
    wrap(at, at + match[1].length, 'always', 'always');
  }
  found.sort((one, other) => one.at - other.at);
  const seen = new Map();
  const short = file.replace(/^native\/core\//, '');
  return found.map(({ what, wraps }) => {
    const times = (seen.get(what) ?? 0) + 1;
    seen.set(what, times);
    return { file, name: `${short}, ${what}${times > 1 ? ` #${times}` : ''}`, wraps };
  });
}

/** The source with all of the mutations in it, each to be switched on by its number. */
export function instrument(source, mutations) {
  const edits = mutations.flatMap((mutation) => mutation.wraps(mutation.number));
  // From the back; at one place what closes comes before what opens, and what opens first is outside.
  edits.forEach((edit, index) => edit.push(index));
  edits.sort(
    (one, other) => other[0] - one[0] || other[2] - one[2] || (one[2] === 1 ? other[3] - one[3] : one[3] - other[3]),
  );
  let text = source;
  for (const [at, insertion] of edits) text = text.slice(0, at) + insertion + text.slice(at);
  return text
    .replace('#pragma once\n', '#pragma once\n#include "core/mutants.h"\n')
    .replace(/^(?!.*#pragma once)/, (start) =>
      source.includes('#pragma once') ? start : `#include "core/mutants.h"\n${start}`,
    );
}
