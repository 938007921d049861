import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Issued {
  cert: string;
  key: string;
}

/** A certificate authority for one test run, made by openssl. All results are paths of PEM files. */
export class TestAuthority {
  private readonly directory = mkdtempSync(join(tmpdir(), 'sage-queue-tls-'));
  readonly ca: string;
  private issued = 0;

  constructor(name = 'test authority') {
    this.ca = this.path('ca.pem');
    this.openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      this.path('ca.key'),
      '-out',
      this.ca,
    );
  }

  issue(commonName: string, address = '127.0.0.1', validity: string[] = ['-days', '1']): Issued {
    const base = `issued-${this.issued++}`;
    const [key, request, cert, extensions] = ['key', 'csr', 'pem', 'ext'].map((ending) =>
      this.path(`${base}.${ending}`),
    ) as [string, string, string, string];
    this.openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${commonName}`, '-keyout', key, '-out', request);
    writeFileSync(extensions, `subjectAltName=DNS:localhost,IP:${address}\n`);
    this.openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      this.ca,
      '-CAkey',
      this.path('ca.key'),
      '-CAcreateserial',
      '-extfile',
      extensions,
      '-out',
      cert,
      ...validity,
    );
    return { cert, key };
  }

  /** Not valid any more. */
  issueExpired(commonName: string): Issued {
    return this.issue(commonName, '127.0.0.1', ['-days', '-1']);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private path(name: string): string {
    return join(this.directory, name);
  }

  private openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}
