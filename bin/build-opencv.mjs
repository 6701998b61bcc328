// npm run build:opencv: compiles the native OpenCV binding (@u4/opencv4nodejs) against the system's OpenCV 4, in its
// own folder under node_modules. Optional: everything works without it, on opencv-js. The package's own build command
// downloads and builds an OpenCV of its own; here node-gyp is called directly.
//
//   Debian, Ubuntu: apt-get install -y --no-install-recommends g++ make python3 libopencv-dev
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const firstExisting = (paths) => paths.find((path) => existsSync(path));

function fail(message) {
  console.error(`build:opencv: ${message}`);
  process.exit(1);
}

const require = createRequire(import.meta.url);
let packageFolder;
let nodeGyp;
try {
  packageFolder = join(dirname(require.resolve('@u4/opencv4nodejs')), '../..');
  nodeGyp = createRequire(join(packageFolder, 'package.json')).resolve('node-gyp/bin/node-gyp.js');
} catch {
  fail('got no @u4/opencv4nodejs with its node-gyp in node_modules, expected it after npm ci');
}

const include =
  process.env.OPENCV_INCLUDE_DIR ??
  firstExisting(['/usr/include/opencv4', '/usr/local/include/opencv4']);
if (!include)
  fail('got no OpenCV headers, expected /usr/include/opencv4 (apt-get install libopencv-dev)');

const hasCore = (folder) =>
  existsSync(folder) && readdirSync(folder).some((name) => name.startsWith('libopencv_core.'));
const library =
  process.env.OPENCV_LIB_DIR ??
  ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/local/lib', '/usr/lib'].find(
    hasCore,
  );
if (!library)
  fail('got no libopencv_core, expected it in a library folder (or set OPENCV_LIB_DIR)');

// Node's headers where they are installed; otherwise node-gyp downloads them from nodejs.org.
const nodePrefix = join(dirname(process.execPath), '..');
const headers = existsSync(join(nodePrefix, 'include/node/node.h'))
  ? [`--nodedir=${nodePrefix}`]
  : [];

const { status, error } = spawnSync(process.execPath, [nodeGyp, 'rebuild', ...headers], {
  cwd: packageFolder,
  stdio: 'inherit',
  env: {
    ...process.env,
    OPENCV4NODEJS_DISABLE_AUTOBUILD: '1',
    OPENCV_INCLUDE_DIR: include,
    OPENCV_LIB_DIR: library,
    OPENCV_BIN_DIR: process.env.OPENCV_BIN_DIR ?? '/usr/bin',
  },
});
if (status !== 0) fail(`node-gyp rebuild ${error ? error.message : `ended with ${status}`}`);

try {
  require(join(packageFolder, 'build/Release/opencv4nodejs.node'));
} catch (loadError) {
  fail(`the binding was built but does not load: ${loadError.message}`);
}
console.log(`build:opencv: ${join(packageFolder, 'build/Release/opencv4nodejs.node')} works`);
