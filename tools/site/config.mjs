/** What VitePress is told: titles, the bars at the top and the side, search. Plain data, so that it can be written down beside the pages. */

const NAMES = {
  'rpc.md': 'Other hosts: rpc and auto',
  'ray.md': 'A Ray cluster',
  'containers.md': 'Between containers',
  'work.md': 'Work: retries and dead letters',
  'start.md': 'Start',
  'from-sage.md': 'From SAGE, line by line',
  'sage-queue.md': 'The algorithm',
  'security.md': 'Security',
  'changelog.md': 'Changes',
  'contributing.md': 'Contributing',
};

/** Found from other pages alone. */
const UNLISTED = ['code-of-conduct.md'];

/** @param pages `{ path, text }` of all pages but the reference @param reference the sidebar that TypeDoc makes */
export function config({ pages, reference, repositoryUrl, base }) {
  const known = new Map(pages.map(({ path, text }) => [path, text]));
  const link = (path) => `/${path.replace(/(^|\/)index\.md$/, '$1').replace(/\.md$/, '')}`;
  const item = (path) => ({ text: NAMES[path] ?? known.get(path), link: link(path) });
  const items = (...paths) => paths.filter((path) => known.has(path)).map(item);
  const folder = (name) =>
    pages
      .map(({ path }) => path)
      .filter((path) => path.startsWith(`${name}/`) && path.endsWith('.md') && !path.endsWith('index.md'))
      .sort()
      .map(item);
  const sidebar = [
    { text: 'First steps', items: items('start.md', 'install.md', 'from-sage.md', 'cli.md') },
    { text: 'Guides', link: '/guides/', collapsed: false, items: folder('guides') },
    { text: 'Examples', collapsed: true, items: folder('examples') },
    {
      text: 'Topics',
      items: items(
        'work.md',
        'rpc.md',
        'ray.md',
        'metrics.md',
        'schemas.md',
        'containers.md',
        'python.md',
        'c.md',
        'security.md',
      ),
    },
    { text: 'API', items: items('api.md', 'wire-format.md', 'compatibility.md', 'glossary.md') },
    { text: 'Reference', link: '/reference/', collapsed: true, items: reference },
    { text: 'Errors', link: '/errors/', collapsed: true, items: folder('errors') },
    { text: 'Figures', items: items('benchmarks.md') },
    {
      text: 'Inside',
      items: items('architecture.md', 'sage-queue.md', 'verification.md', 'contributing.md', 'changelog.md'),
    },
    { text: 'Decisions', collapsed: true, items: folder('adr') },
  ];
  const shown = new Set(sidebar.flatMap(({ link: own, items: inner = [] }) => [own, ...inner.map((one) => one.link)]));
  const lost = [...known.keys()].filter(
    (path) => path.endsWith('.md') && !shown.has(link(path)) && !UNLISTED.includes(path),
  );
  if (lost.length > 0) throw new Error(`No part of the sidebar leads to ${lost.join(', ')}.`);
  return {
    title: 'sage-queue',
    description: 'Queues between processes: shared memory, gRPC, Ray. Nothing is lost, whoever is killed when.',
    lang: 'en',
    base,
    cleanUrls: false,
    lastUpdated: false,
    head: [['link', { rel: 'icon', href: 'data:,' }]],
    themeConfig: {
      nav: [
        { text: 'Start', link: '/start' },
        { text: 'Guides', link: '/guides/' },
        { text: 'API', link: '/api' },
        { text: 'Reference', link: '/reference/' },
        { text: 'Errors', link: '/errors/' },
      ],
      sidebar,
      outline: 'deep',
      search: { provider: 'local', options: { detailedView: true } },
      socialLinks: [{ icon: 'github', link: repositoryUrl }],
      externalLinkIcon: true,
      footer: { message: 'MIT' },
    },
  };
}
