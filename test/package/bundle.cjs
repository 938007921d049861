// The recipe of docs/install.md for bundlers, as a program.
const { cpSync } = require('node:fs');
const { join } = require('node:path');
const esbuild = require('esbuild');
const webpack = require('webpack');

const common = { entryPoints: ['main.cjs'], bundle: true, platform: 'node', format: 'cjs' };

// 1. The package stays outside of the bundle and is installed where the bundle runs.
const esbuildExternal = () =>
  esbuild.build({ ...common, external: ['sage-queue'], outfile: 'out/esbuild-external/main.cjs' });
const webpackExternal = () =>
  new Promise((resolve, reject) => {
    const settings = {
      mode: 'production',
      target: 'node20',
      entry: './main.cjs',
      output: { path: join(__dirname, 'out/webpack-external'), filename: 'main.cjs' },
      externals: { 'sage-queue': 'commonjs sage-queue' },
      node: { __filename: false, __dirname: false },
    };
    webpack(settings, (error, stats) =>
      error || stats.hasErrors() ? reject(error ?? new Error(stats.toString())) : resolve(),
    );
  });

// 2. The package goes into the bundle, and its prebuilt binaries lie in prebuilds/ beside the bundle's folder.
const esbuildCopied = async () => {
  await esbuild.build({ ...common, external: ['@grpc/grpc-js'], outfile: 'out/esbuild-copied/bundle/main.cjs' });
  cpSync('node_modules/sage-queue/prebuilds', 'out/esbuild-copied/prebuilds', { recursive: true });
};

// The same as an ES module: what was CommonJS in it finds its require and __dirname at the top.
const banner = `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const __dirname = require('node:path').dirname(require('node:url').fileURLToPath(import.meta.url));`;
const esbuildModule = async () => {
  await esbuild.build({
    ...common,
    entryPoints: ['main.mjs'],
    format: 'esm',
    banner: { js: banner },
    external: ['@grpc/grpc-js'],
    outfile: 'out/esbuild-module/bundle/main.mjs',
  });
  cpSync('node_modules/sage-queue/prebuilds', 'out/esbuild-module/prebuilds', { recursive: true });
};

Promise.all([esbuildExternal(), webpackExternal(), esbuildCopied(), esbuildModule()]).catch((error) => {
  console.error(error);
  process.exit(1);
});
