// What `sage-queue` exports, as globals.
import * as sage from 'sage-queue';

Object.assign(globalThis, sage);
