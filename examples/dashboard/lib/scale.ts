const STEPS = [1, 2, 5, 10, 20, 50];
const MOST = 5;

/** The whole numbers on the value axis, the lowest first: as few as MOST allows, around all values. */
export function valueTicks(values: number[]): number[] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  for (const step of STEPS) {
    const first = Math.floor(low / step);
    const last = Math.max(first + 1, Math.ceil(high / step));
    if (last - first <= MOST) return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
  }
  return [low, high];
}

/** The multiples of `step` in a span, all of them milliseconds since 1970. */
export function timeTicks(from: number, to: number, step: number): number[] {
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks;
}

export type Point = readonly [x: number, y: number];

/** An SVG path through the points, interrupted where the next is further away than `gap`; a lone one is a dot. */
export function linePath(points: Point[], gap: number): string {
  let path = "";
  points.forEach(([x, y], index) => {
    const before = points[index - 1];
    const place = `${Math.round(x)} ${Math.round(y)}`;
    // A line to the point itself: a line cap is drawn for that, but not for a move alone.
    path += before !== undefined && x - before[0] <= gap ? ` ${place}` : `M${place}L${place}`;
  });
  return path;
}
