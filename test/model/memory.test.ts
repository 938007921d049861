import { holdToReference } from './sequences';
import { adapter, adapterLater, local, stub } from './types';

test.each([local, stub, adapter, adapterLater])('$name does as the reference', holdToReference, 3_600_000);
