/**
 * How far a place is from the nearest one in another country: the work that the demo hands out. Every place of the data set is a candidate, and
 * some twelve thousand of them are looked at for one answer.
 */
export type DataRecord = Readonly<Record<string, unknown>>;

const EARTH_KM = 6371.0088;
/** Looked at in one direction before the other one has its turn: a near place found there ends this one sooner. */
const STRIDE = 64;

export class NearestAbroad {
  /** Unit vectors, latitudes in radians and countries of all places, from south to north. */
  private readonly x: Float64Array;
  private readonly y: Float64Array;
  private readonly z: Float64Array;
  private readonly latitude: Float64Array;
  private readonly country: Int32Array;
  private readonly numbers = new Map<string, number>();
  /** The answer under way: the cosine of the least angle found, and that angle. */
  private closest = -1;
  private reach = Math.PI;

  constructor(records: readonly DataRecord[]) {
    const places = records.map((record) => ({ latitude: radians(record.lat), longitude: radians(record.lng), record }));
    places.sort((a, b) => a.latitude - b.latitude);
    this.x = Float64Array.from(places, ({ latitude, longitude }) => Math.cos(latitude) * Math.cos(longitude));
    this.y = Float64Array.from(places, ({ latitude, longitude }) => Math.cos(latitude) * Math.sin(longitude));
    this.z = Float64Array.from(places, ({ latitude }) => Math.sin(latitude));
    this.latitude = Float64Array.from(places, ({ latitude }) => latitude);
    this.country = Int32Array.from(places, ({ record }) => this.numberOf(record));
  }

  private numberOf(record: DataRecord): number {
    const name = String(record.country);
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    this.numbers.set(name, this.numbers.size);
    return this.numbers.size - 1;
  }

  /** Kilometres along the surface, to the metre. */
  of(record: DataRecord): number {
    const latitude = radians(record.lat);
    const longitude = radians(record.lng);
    const x = Math.cos(latitude) * Math.cos(longitude);
    const y = Math.cos(latitude) * Math.sin(longitude);
    const z = Math.sin(latitude);
    const own = this.numberOf(record);
    this.closest = -1;
    this.reach = Math.PI;
    const start = this.firstNorthOf(latitude);
    const { length } = this.latitude;
    let [north, south] = [start, start];
    // A place is no nearer than its latitude is.
    while (
      (north < length && this.latitude[north]! - latitude < this.reach) ||
      (south > 0 && latitude - this.latitude[south - 1]! < this.reach)
    ) {
      const [from, to] = [Math.max(0, south - STRIDE), Math.min(length, north + STRIDE)];
      this.look(north, to, x, y, z, own);
      this.look(from, south, x, y, z, own);
      [north, south] = [to, from];
    }
    return Math.round(this.reach * EARTH_KM * 1000) / 1000;
  }

  private look(from: number, to: number, x: number, y: number, z: number, own: number): void {
    const { x: xs, y: ys, z: zs, country } = this;
    let closest = this.closest;
    for (let at = from; at < to; at++) {
      const cosine = x * xs[at]! + y * ys[at]! + z * zs[at]!;
      if (cosine > closest && country[at] !== own) closest = cosine;
    }
    if (closest === this.closest) return;
    this.closest = closest;
    this.reach = Math.acos(Math.min(1, closest));
  }

  private firstNorthOf(latitude: number): number {
    let [low, high] = [0, this.latitude.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.latitude[middle]! < latitude) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const radians = (degrees: unknown): number => (Number(degrees) * Math.PI) / 180;
