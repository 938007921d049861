/** The TypeScript of waiting and of leases, whose every look, wake and condition a test has to notice the loss of. */
'use strict';

exports.FILES = [
  'lib/wait/abort-listeners.ts',
  'lib/wait/call-line.ts',
  'lib/wait/deadline.ts',
  'lib/wait/fairness.ts',
  'lib/wait/keep-alive.ts',
  'lib/wait/pending-call.ts',
  'lib/queue/held-lease.ts',
  'lib/queue/lease-table.ts',
  'lib/transports/shm/wait-list.ts',
  'lib/transports/shm/doorbell.ts',
  'lib/transports/shm/leases.ts',
];
