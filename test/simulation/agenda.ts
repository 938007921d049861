/** What is to happen when: the earliest first, and what is due at one time in the order in which it was put down. A binary heap. */
export interface Appointment {
  at: number;
  /** No two of one time have the same. */
  number: number;
}

export class Agenda<T extends Appointment> {
  private readonly heap: T[] = [];

  get size(): number {
    return this.heap.length;
  }

  get first(): T | undefined {
    return this.heap[0];
  }

  some(is: (one: T) => boolean): boolean {
    return this.heap.some(is);
  }

  add(one: T): void {
    const { heap } = this;
    let place = heap.length;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!comesBefore(one, heap[above]!)) break;
      heap[place] = heap[above]!;
      place = above;
    }
    heap[place] = one;
  }

  take(): T | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.sink(last);
    return first;
  }

  private sink(one: T): void {
    const { heap } = this;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && comesBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!comesBefore(heap[below]!, one)) break;
      heap[place] = heap[below]!;
      place = below;
    }
    heap[place] = one;
  }
}

function comesBefore(one: Appointment, other: Appointment): boolean {
  return one.at < other.at || (one.at === other.at && one.number < other.number);
}
