import { holdToReference } from './sequences';
import { sageQueue, shm } from './types';

test.each([shm, sageQueue])('$name does as the reference', holdToReference, 3_600_000);
