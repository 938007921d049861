/** The package as its users have it, by its own name: this folder has a package.json of its own and does not see it otherwise. */
module.exports = require('node:module').createRequire(require.resolve('../../package.json'))('sage-queue');
