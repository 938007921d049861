/** What `doctor` looks at. A check never throws: what it cannot find out is a finding too. */
import { accessSync, constants, existsSync, readFileSync, readdirSync, readlinkSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../package-root';
import { addonFile, loadAddon } from '../../transports/shm/addon';
import { listSegments, listUnreadableSegments } from '../../transports/shm/segments';
import { segmentDirectory } from '../../util/segment-directory';
import { alive } from './ls';
import { segmentUri, shellWord } from '../queue-uri';
import { bytes, count } from '../io/table';

export interface Finding {
  readonly check: string;
  /** 'advice': works, but may surprise. 'wrong': something does not work. */
  readonly status: 'ok' | 'advice' | 'wrong';
  readonly found: string;
  /** What to type. */
  readonly type?: string;
}

/** A queue made without options reserves a little more than 1 MiB. */
const LEAST_FREE_BYTES = 2 * 1024 * 1024;
/** What a container has that was started without --shm-size. */
const CONTAINER_DEFAULT_BYTES = 64 * 1024 * 1024;
const TMPFS_MAGIC = 0x01021994;
/** Those that queues work on (linux/magic.h). */
const FILE_SYSTEMS: Record<number, string> = {
  [TMPFS_MAGIC]: 'tmpfs',
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x794c7630: 'overlay',
};
const OLDEST_NODE = 20;
/** The inode of the first pid namespace of every kernel (PROC_PID_INIT_INO). */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

const readText = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

function nodeCheck(): Finding[] {
  const found = `Node ${process.version}, ${process.platform}-${process.arch}, Node-API ${process.versions.napi}`;
  return Number(process.versions.node.split('.')[0]) >= OLDEST_NODE
    ? [{ check: 'node', status: 'ok', found }]
    : [
        {
          check: 'node',
          status: 'wrong',
          found: `${found}; needed is ${OLDEST_NODE} or newer`,
          type: `nvm install ${OLDEST_NODE}`,
        },
      ];
}

function libcCheck(): Finding[] {
  if (process.platform !== 'linux') return [];
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  if (header.glibcVersionRuntime !== undefined) {
    return [{ check: 'libc', status: 'ok', found: `glibc ${header.glibcVersionRuntime}` }];
  }
  const musl = existsSync('/lib') && readdirSync('/lib').some((file) => file.startsWith('ld-musl-'));
  return [{ check: 'libc', status: 'ok', found: musl ? 'musl' : 'neither glibc nor musl found' }];
}

function addonCheck(): Finding[] {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string };
  try {
    const addon = loadAddon();
    const path = addonFile()!;
    const how = path.includes('prebuilds')
      ? 'prebuilt'
      : process.env.SAGE_QUEUE_ADDON
        ? 'named by SAGE_QUEUE_ADDON'
        : 'built here';
    return [
      {
        check: 'addon',
        status: 'ok',
        found: `sage-queue ${version}, ${how}: ${path} (Node-API ${addon.napiVersion}, segment layout ${addon.layoutVersion})`,
      },
    ];
  } catch (error) {
    const type = process.env.SAGE_QUEUE_ADDON ? 'unset SAGE_QUEUE_ADDON' : 'npm rebuild sage-queue';
    return [{ check: 'addon', status: 'wrong', found: `sage-queue ${version}: ${(error as Error).message}`, type }];
  }
}

const fileSystemOf = (type: number): string => FILE_SYSTEMS[type] ?? `a file system of type 0x${type.toString(16)}`;

function sharedMemoryCheck(): Finding[] {
  if (process.platform !== 'linux') return [];
  const directory = segmentDirectory();
  const check = directory;
  const larger = `mount -o remount,size=1G ${directory}   (as root; in a container: docker run --shm-size=1g)`;
  try {
    const system = statfsSync(directory);
    const total = system.blocks * system.bsize;
    const free = system.bavail * system.bsize;
    const found = `${fileSystemOf(system.type)}, ${bytes(total)}, ${bytes(free)} free`;
    accessSync(directory, constants.W_OK | constants.X_OK);
    if (FILE_SYSTEMS[system.type] === undefined) {
      const type = 'export SAGE_QUEUE_DIR=...   (a directory on tmpfs, ext4, xfs, btrfs or overlay)';
      return [{ check, status: 'wrong', found: `${found}: no queue can lie there`, type }];
    }
    if (free < LEAST_FREE_BYTES) {
      return [
        { check, status: 'wrong', found: `${found}: too little for a queue`, type: `sage-queue prune, or ${larger}` },
      ];
    }
    if (system.type !== TMPFS_MAGIC) {
      return [
        {
          check,
          status: 'advice',
          found: `${found}; it is no tmpfs, so queues are written to a disk (there they survive a clean reboot, never a power cut)`,
          type: `mount -t tmpfs -o size=1G tmpfs ${directory}   (as root)`,
        },
      ];
    }
    return total <= CONTAINER_DEFAULT_BYTES
      ? [{ check, status: 'advice', found: `${found}: little, as in a container by default`, type: larger }]
      : [{ check, status: 'ok', found }];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') {
      const type = `mount -o remount,rw ${directory}   (as root)`;
      return [{ check, status: 'wrong', found: 'is mounted read-only; no queue can be used', type }];
    }
    const type = `mount -t tmpfs -o size=1G,mode=1777 tmpfs ${directory}   (as root)`;
    return [{ check, status: 'wrong', found: `cannot be used: ${(error as Error).message}`, type }];
  }
}

function segmentsCheck(): Finding[] {
  let segments;
  try {
    segments = listSegments();
  } catch {
    // Without the addon nothing can be said; its own finding says what to do.
    return [];
  }
  const total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const left = segments.filter((segment) => alive(segment) === 0);
  const empty = left.filter(({ qsize }) => qsize === 0);
  const filled = left.filter(({ qsize }) => qsize > 0);
  const named = (some: typeof left): string => {
    const shown = some.slice(0, 3).map(segmentUri).join(', ');
    return `${shown}${some.length > 3 ? `, … (${some.length})` : ''}`;
  };
  const findings: Finding[] = [
    { check: 'queues', status: 'ok', found: `${count(segments.length)} in shared memory, ${bytes(total)}` },
  ];
  if (empty.length > 0) {
    findings.push({
      check: 'left-over',
      status: 'advice',
      found: `empty, and nobody is attached: ${named(empty)}`,
      type: 'sage-queue prune',
    });
  }
  if (filled.length > 0) {
    findings.push({
      check: 'left-over',
      status: 'advice',
      found: `items wait, and nobody is attached: ${named(filled)}`,
      type: `sage-queue get ${shellWord(segmentUri(filled[0]!))}   (or, to lose them all: sage-queue prune --include-non-empty)`,
    });
  }
  const earlier = segments.filter(({ earlierBoot }) => earlierBoot === true);
  if (earlier.length > 0) {
    findings.push({
      check: 'earlier boot',
      status: 'ok',
      found: `made before this system was started: ${named(earlier)}; what was in hand then comes again`,
    });
  }
  return [...findings, ...unreadable()];
}

function unreadable(): Finding[] {
  return listUnreadableSegments().map(({ file, error }): Finding => {
    const { code } = error as { code?: string };
    const found = error.message;
    const check = 'unreadable';
    // Other users and other containers may have queues of their own.
    if (code === 'ERR_SEGMENT_PERMISSION') return { check, status: 'advice', found };
    if (code === 'ERR_SEGMENT_NAMESPACE') return { check, status: 'advice', found };
    const path = file.startsWith('/') ? file : join(segmentDirectory(), file);
    return { check, status: 'wrong', found, type: `rm '${path}'   (what is in it is lost)` };
  });
}

/** The last setting counts; drop-ins come after the main file, in the order of their names. */
function removeIpc(): string | undefined {
  const directories = ['/usr/lib/systemd/logind.conf.d', '/run/systemd/logind.conf.d', '/etc/systemd/logind.conf.d'];
  const dropIns = directories
    .flatMap((directory) => {
      try {
        return readdirSync(directory).map((name) => ({ name, file: join(directory, name) }));
      } catch {
        return [];
      }
    })
    .filter(({ name }) => name.endsWith('.conf'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = ['/usr/lib/systemd/logind.conf', '/etc/systemd/logind.conf', ...dropIns.map(({ file }) => file)];
  let value: string | undefined;
  for (const file of files) {
    for (const match of (readText(file) ?? '').matchAll(/^\s*RemoveIPC\s*=\s*(\S+)/gm)) value = match[1]!.toLowerCase();
  }
  return value;
}

function removeIpcCheck(): Finding[] {
  if (process.platform !== 'linux') return [];
  const check = 'RemoveIPC';
  if (!existsSync('/run/systemd/system')) return [{ check, status: 'ok', found: 'no systemd runs here' }];
  const value = removeIpc();
  if (value !== undefined && ['no', 'false', '0', 'off', 'n', 'f'].includes(value))
    return [{ check, status: 'ok', found: 'no' }];
  const uid = process.getuid?.() ?? 0;
  // logind spares system users, whose ids end below 1000.
  if (uid < 1000)
    return [
      {
        check,
        status: 'ok',
        found: `${value ?? 'not set (yes)'}, but it spares system users such as this one (uid ${uid})`,
      },
    ];
  return [
    {
      check,
      status: 'advice',
      found: `${value ?? 'not set (yes)'}: when the last session of uid ${uid} ends, logind removes its queues, also those of running services`,
      type: "printf '[Login]\\nRemoveIPC=no\\n' > /etc/systemd/logind.conf.d/sage-queue.conf && systemctl restart systemd-logind   (as root)",
    },
  ];
}

function namespaceCheck(): Finding[] {
  if (process.platform !== 'linux') return [];
  const check = 'namespaces';
  let own: string;
  try {
    own = readlinkSync('/proc/self/ns/pid');
  } catch {
    const found = '/proc is not mounted: deaths of other processes are looked for every 50 ms while a call waits';
    return [{ check, status: 'advice', found, type: 'mount -t proc proc /proc   (as root)' }];
  }
  const where = own === FIRST_PID_NAMESPACE ? "the host's own pid namespace" : `a container's pid namespace (${own})`;
  const foreign = segmentsOf().flatMap(({ attached }) => attached.filter((one) => one.foreign === true && one.alive));
  const peers = foreign.length === 0 ? '' : `; ${count(foreign.length)} of other containers attached to its queues`;
  return [{ check, status: 'ok', found: `${where}${peers}` }];
}

function segmentsOf(): ReturnType<typeof listSegments> {
  try {
    return listSegments();
  } catch {
    return []; // the addon's own finding says what to do
  }
}

export const checks: readonly (() => Finding[])[] = [
  nodeCheck,
  libcCheck,
  addonCheck,
  sharedMemoryCheck,
  segmentsCheck,
  removeIpcCheck,
  namespaceCheck,
];
