/**
 * Finds what can be changed in a file of TypeScript: calls and assignments that can be left out, conditions and their parts that can be
 * fixed, and literals that can be inverted; and writes all of that into the source, to be switched on by the environment.
 */
'use strict';

const ts = require('typescript');

const isLogical = (node) =>
  ts.isBinaryExpression(node) &&
  (node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken ||
    node.operatorToken.kind === ts.SyntaxKind.BarBarToken);

/** Operands of an expression that is all && or all ||. */
function operands(node) {
  const inner = ts.isParenthesizedExpression(node) ? node.expression : node;
  if (!isLogical(inner)) return { and: false, parts: [] };
  const { kind } = inner.operatorToken;
  const parts = [];
  const visit = (one) => {
    if (ts.isBinaryExpression(one) && one.operatorToken.kind === kind) [one.left, one.right].forEach(visit);
    else parts.push(one);
  };
  visit(inner);
  return { and: kind === ts.SyntaxKind.AmpersandAmpersandToken, parts };
}

/** What does something: a call, an assignment, a count. */
function acts(node) {
  const inner = ts.isAwaitExpression(node) || ts.isVoidExpression(node) ? node.expression : node;
  if (ts.isCallExpression(inner)) return inner.expression.kind !== ts.SyntaxKind.SuperKeyword;
  if (ts.isBinaryExpression(inner))
    return (
      inner.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
      inner.operatorToken.kind <= ts.SyntaxKind.LastAssignment
    );
  return ts.isPostfixUnaryExpression(inner) || ts.isPrefixUnaryExpression(inner);
}

/** true or false, as an argument. */
const isFlag = (node) =>
  (node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword) &&
  (ts.isCallExpression(node.parent) || ts.isNewExpression(node.parent));

const nameOf = (node) => node.name?.getText() ?? (ts.isConstructorDeclaration(node) ? 'constructor' : undefined);

/** { file, name, number, edits } of each; `edits` are [at, text]. */
function findMutations(file, source) {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const found = [];
  const on = () => `sageMutant === ${found.length}`;
  const add = (where, node, kind, before, after, at = node) => {
    const what = node.getText().replace(/\s+/g, ' ');
    found.push({
      what: `${where}: ${what.length > 100 ? `${what.slice(0, 100)}…` : what} [${kind}]`,
      edits: [
        [at.getStart(), before],
        [at.getEnd(), after],
      ],
    });
  };
  const fix = (where, node, kind, always) =>
    add(where, node, kind, always ? `(${on()} || (` : `(!(${on()}) && (`, '))');
  const parts = (where, node) => {
    const { and, parts } = operands(node);
    for (const part of parts) fix(where, part, 'left out', and);
  };
  const condition = (where, node) => {
    fix(where, node, 'never', false);
    fix(where, node, 'always', true);
    parts(where, node);
  };
  const visit = (node, where, inBody) => {
    if (ts.isFunctionLike(node)) where = nameOf(node) ?? where;
    else if (ts.isVariableDeclaration(node) && node.initializer && ts.isArrowFunction(node.initializer))
      where = node.name.getText();
    if (inBody) {
      if (ts.isIfStatement(node)) condition(where, node.expression);
      else if (ts.isConditionalExpression(node)) {
        fix(where, node.condition, 'never', false);
        fix(where, node.condition, 'always', true);
      } else if (ts.isReturnStatement(node) && node.expression) parts(where, node.expression);
      else if (ts.isExpressionStatement(node) && acts(node.expression))
        add(where, node, 'left out', `{ if (!(${on()})) `, ' }');
      else if (isFlag(node)) add(where, node.parent, `${node.getText()} inverted`, '(', ` !== (${on()}))`, node);
    }
    const isBody = (child) => ts.isFunctionLike(node) && child === node.body;
    ts.forEachChild(node, (child) => {
      if (isBody(child) && !ts.isBlock(child)) parts(where, child);
      visit(child, where, inBody || isBody(child));
    });
  };
  visit(tree, '', false);
  const seen = new Map();
  return found.map(({ what, edits }, number) => {
    const times = (seen.get(what) ?? 0) + 1;
    seen.set(what, times);
    return { file, name: `${file.replace(/^lib\//, '')}, ${what}${times > 1 ? ` #${times}` : ''}`, number, edits };
  });
}

/** The source with all of its mutations in it, on the same lines. */
function instrument(file, source) {
  const edits = findMutations(file, source).flatMap(({ edits: [open, close] }, order) => [
    { at: open[0], text: open[1], opens: true, order },
    { at: close[0], text: close[1], opens: false, order },
  ]);
  // From the front: what closes comes before what opens; what opens first is outside, and closes last.
  edits.sort(
    (one, other) =>
      one.at - other.at ||
      Number(one.opens) - Number(other.opens) ||
      (one.opens ? one.order - other.order : other.order - one.order),
  );
  let text = `const sageMutant = process.env.SAGE_MUTANT_FILE === ${JSON.stringify(file)} ? Number(process.env.SAGE_MUTANT) : -1; `;
  let from = 0;
  for (const edit of edits) {
    text += source.slice(from, edit.at) + edit.text;
    from = edit.at;
  }
  return text + source.slice(from);
}

module.exports = { findMutations, instrument };
