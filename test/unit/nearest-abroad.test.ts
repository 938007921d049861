/** The demo's work gives what one finds by looking at every place, whatever latitudes the places have. */
import { NearestAbroad } from '../../lib/cli/demo/nearest-abroad';
import { seeded } from '../random';

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

interface Place extends Record<string, unknown> {
  lat: string;
  lng: string;
  country: string;
}

function byLookingAtAll(place: Place, places: readonly Place[]): number {
  const haversine = (other: Place): number => {
    const [a, b] = [radians(Number(place.lat)), radians(Number(other.lat))];
    const h =
      Math.sin((a - b) / 2) ** 2 +
      Math.cos(a) * Math.cos(b) * Math.sin(radians(Number(place.lng) - Number(other.lng)) / 2) ** 2;
    return 2 * 6371.0088 * Math.asin(Math.sqrt(h));
  };
  return Math.min(...places.filter(({ country }) => country !== place.country).map(haversine));
}

test('the same as by looking at all places', () => {
  const random = seeded('places');
  const places = Array.from({ length: 600 }, (): Place => ({
    lat: String(random.below(180e6) / 1e6 - 90),
    lng: String(random.below(360e6) / 1e6 - 180),
    country: random.pick([...'AAAAABBC']),
  }));
  const nearest = new NearestAbroad(places);
  for (const place of places) expect(nearest.of(place)).toBeCloseTo(byLookingAtAll(place, places), 2);
});
