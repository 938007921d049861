/**
 * Looks at the built site as its readers do: every link leads somewhere, no page complains in the browser's console, the search is reached by
 * keys alone and finds what people look for, light, dark and on a telephone. Screenshots go to out/site/screenshots. CHROMIUM names the browser's program.
 */
import { createServer } from 'node:http';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, extname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const out = join(dirname(fileURLToPath(import.meta.url)), '../../out/site');
const dist = join(out, 'dist');
const shots = join(out, 'screenshots');
const SEARCHED = { ERR_SEGMENT_NO_SPACE: /errors\/ERR_SEGMENT_NO_SPACE/, lease: /./, maxsize: /./ };
/** Of these there are pictures: light, dark, and on a telephone. */
const SHOWN = [
  'index',
  'start',
  'api',
  'benchmarks',
  'errors/ERR_SEGMENT_NO_SPACE',
  'reference/index/functions/resolveDescriptor',
  'guides/index',
];
const complaints = [];
const pages = readdirSync(dist, { recursive: true }).filter((file) => file.endsWith('.html'));

/** The file of a path on the site. */
function fileOf(path) {
  const file = join(dist, decodeURIComponent(path));
  if (existsSync(file) && statSync(file).isFile()) return file;
  return [`${file}.html`, join(file, 'index.html')].find((candidate) => existsSync(candidate));
}

function checkLinks() {
  const texts = new Map(pages.map((page) => [page, readFileSync(join(dist, page), 'utf8')]));
  const ids = new Map(
    [...texts].map(([page, text]) => [page, new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))]),
  );
  for (const [page, text] of texts) {
    for (const [, target] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
      if (target === '' || /^([a-z]+:|\/\/)/.test(target)) continue;
      const [path, anchor] = target.replaceAll('&amp;', '&').split('#');
      const absolute =
        path === ''
          ? `/${page}`
          : posix.join(
              posix.dirname(`/${page}`),
              path.startsWith('/') ? posix.relative(posix.dirname(`/${page}`), path) : path,
            );
      const file = fileOf(absolute.split('?')[0]);
      if (file === undefined) complaints.push(`${page}: nothing at ${target}`);
      else if (anchor && file.endsWith('.html') && !['app', 'VPContent'].includes(anchor)) {
        if (!ids.get(file.slice(dist.length + 1))?.has(decodeURIComponent(anchor)))
          complaints.push(`${page}: no such heading: ${target}`);
      }
    }
  }
  console.log(`${pages.length} pages, their links followed`);
}

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};
const server = createServer((request, response) => {
  const file = fileOf(new URL(request.url, 'http://site').pathname);
  if (file === undefined) return response.writeHead(404).end();
  response
    .writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    .end(readFileSync(file));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${server.address().port}`;

checkLinks();
mkdirSync(shots, { recursive: true });
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  /** A tab whose complaints are noted with the place where it is. */
  async function open(viewport) {
    const tab = await browser.newPage({ viewport });
    const note = (what) => complaints.push(`${tab.place}: ${what}`);
    tab.on('console', (message) => ['error', 'warning'].includes(message.type()) && note(message.text()));
    tab.on('pageerror', (error) => note(error.message));
    // Pages are fetched ahead of a click; leaving ends that.
    tab.on(
      'requestfailed',
      (request) => request.failure()?.errorText !== 'net::ERR_ABORTED' && note(`no answer for ${request.url()}`),
    );
    tab.on('response', (response) => response.status() >= 400 && note(`${response.status()} for ${response.url()}`));
    return Object.assign(tab, { note, place: '' });
  }

  const phone = await open({ width: 390, height: 800 });
  for (const page of pages) {
    if (page === '404.html') continue;
    phone.place = page;
    await phone.goto(`${base}/${page}`, { waitUntil: 'load' });
    const wider = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (wider > 1) phone.note(`${wider} pixels wider than a telephone`);
    if (SHOWN.includes(page.replace('.html', '')))
      await phone.screenshot({ path: join(shots, `${page.replace('.html', '').replaceAll('/', '-')}-phone.png`) });
  }
  await phone.close();
  console.log('every page opened');

  const tab = await open({ width: 1360, height: 900 });
  const { note } = tab;
  tab.place = 'search';
  for (const [words, found] of Object.entries(SEARCHED)) {
    await tab.goto(`${base}/`, { waitUntil: 'networkidle' });
    await tab.keyboard.press('/');
    await tab.waitForSelector('.VPLocalSearchBox input');
    await tab.keyboard.type(words);
    await tab.waitForSelector('.VPLocalSearchBox .result', { timeout: 20_000 });
    await tab.waitForTimeout(500);
    await tab.screenshot({ path: join(shots, `search-${words}.png`) });
    await tab.keyboard.press('Enter');
    await tab.waitForURL((url) => url.pathname !== '/', { timeout: 10_000 });
    if (!found.test(tab.url())) note(`${words} leads to ${tab.url()}`);
    const stands = (text) => document.querySelector('.vp-doc')?.textContent.toLowerCase().includes(text);
    await tab
      .waitForFunction(stands, words.toLowerCase(), { timeout: 10_000 })
      .catch(() => note(`${words} does not stand at ${tab.url()}`));
    console.log(`${words} -> ${new URL(tab.url()).pathname}`);
  }

  tab.place = 'keyboard';
  await tab.goto(`${base}/start.html`, { waitUntil: 'networkidle' });
  await tab.keyboard.press('Tab');
  if (!/skip to content/i.test(await tab.evaluate(() => document.activeElement?.textContent ?? '')))
    note('the first stop is not "Skip to content"');
  const reached = new Set();
  for (let stop = 0; stop < 60; stop++) {
    await tab.keyboard.press('Tab');
    reached.add(
      await tab.evaluate(
        () => document.activeElement?.getAttribute('href') ?? document.activeElement?.getAttribute('title') ?? '',
      ),
    );
  }
  for (const wanted of ['/guides/', '/api.html', 'dark']) {
    if (![...reached].some((stop) => stop.includes(wanted)))
      note(`${wanted} is not reached by Tab, only ${[...reached].join(' ')}`);
  }

  tab.place = 'looks';
  for (const scheme of ['light', 'dark']) {
    await tab.emulateMedia({ colorScheme: scheme });
    for (const page of SHOWN) {
      if (fileOf(`/${page}`) === undefined) note(`there is no page ${page}`);
      await tab.goto(`${base}/${page}.html`, { waitUntil: 'load' });
      const dark = await tab.evaluate(() => document.documentElement.classList.contains('dark'));
      if (dark !== (scheme === 'dark')) note(`${page} is not ${scheme}`);
      await tab.screenshot({ path: join(shots, `${page.replaceAll('/', '-')}-${scheme}.png`) });
    }
  }
} finally {
  await browser.close();
  server.close();
}
for (const complaint of complaints) console.error(`site: ${complaint}`);
console.log(`${complaints.length} complaints; screenshots in ${shots}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
