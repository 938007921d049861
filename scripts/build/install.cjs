// Runs when the package is installed: compiles the addon only where no binary loads. Installations that block scripts lose
// nothing as long as there is a prebuilt one. Where none can be had the package still installs: local, rpc and Ray need none,
// and the shared-memory types say what is missing when they are resolved.
const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '../..');
const list = join(root, 'dist/transports/shm/addon-files.js');
const wantsSource = ['true', 'sage-queue'].includes(process.env.npm_config_build_from_source);
const loads = (file) => {
  try {
    require(file);
    return true;
  } catch {
    return false;
  }
};
if (wantsSource || !existsSync(list) || !require(list).addonFiles(root).some(loads)) {
  const supported = ['linux', 'darwin'].includes(process.platform);
  const status = supported ? spawnSync('node-gyp-build', { cwd: root, stdio: 'inherit', shell: true }).status : 1;
  if (status !== 0) {
    console.error(
      `sage-queue: no native addon for ${process.platform}-${process.arch}; the types shm and sage_queue will not work here.`,
    );
    if (wantsSource) process.exitCode = 1;
  }
}
