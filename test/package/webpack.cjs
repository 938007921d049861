// What webpack's command line does with the configuration of docs/install.md, without its package.
const { join } = require('node:path');
const webpack = require('webpack');

const output = { path: join(__dirname, 'webpacked'), filename: 'main.js' };
webpack({ mode: 'production', entry: './main.js', output, ...require('./webpack.config.js') }, (error, stats) => {
  if (error === null && !stats.hasErrors()) return;
  console.error(error ?? stats.toString());
  process.exitCode = 1;
});
