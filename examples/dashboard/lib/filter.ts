export const STATIONS = ["harbour", "meadow", "summit"] as const;
export type Station = (typeof STATIONS)[number];

const HOUR = 3_600_000;

export interface Range {
  /** As in the address. */
  key: string;
  /** "the last ..." */
  label: string;
  /** Where there is little space. */
  short: string;
  ms: number;
  /** The chart draws means of this many seconds, so that no range has many more points than another. */
  bucketSeconds: number;
  tickMs: number;
}

export const RANGES: readonly [Range, Range, ...Range[]] = [
  { key: "24h", label: "24 hours", short: "24 h", ms: 24 * HOUR, bucketSeconds: 1_200, tickMs: 4 * HOUR },
  { key: "6h", label: "6 hours", short: "6 h", ms: 6 * HOUR, bucketSeconds: 300, tickMs: HOUR },
  { key: "3d", label: "3 days", short: "3 d", ms: 72 * HOUR, bucketSeconds: 3_600, tickMs: 12 * HOUR },
  { key: "7d", label: "7 days", short: "7 d", ms: 168 * HOUR, bucketSeconds: 7_200, tickMs: 24 * HOUR },
];

/** Made of known values only: it becomes a cache key, and there are to be few of those. */
export interface Filter {
  /** Undefined for all of them. */
  station: Station | undefined;
  range: Range;
}

export type Query = Record<string, string | string[] | undefined>;

export function isStation(value: unknown): value is Station {
  return STATIONS.some((name) => name === value);
}

/** What the address asks for, and a line about each thing that it asks for in vain: a link may be old or mistyped. */
export function parseFilter(query: Query): { filter: Filter; problems: string[] } {
  const { station = "", range = "" } = query;
  const found = RANGES.find(({ key }) => key === range);
  const problems: string[] = [];
  if (station !== "" && !isStation(station)) problems.push("There is no such station: all of them are shown.");
  if (range !== "" && !found) problems.push(`There is no such time range: the last ${RANGES[0].label} are shown.`);
  return { filter: { station: isStation(station) ? station : undefined, range: found ?? RANGES[0] }, problems };
}

/** The address of the page with this filter: "/" for the one that it starts with. */
export function address({ station, range }: Filter, more: Record<string, string> = {}): string {
  const words = new URLSearchParams(more);
  if (station) words.set("station", station);
  if (range !== RANGES[0]) words.set("range", range.key);
  return words.size > 0 ? `/?${words}` : "/";
}
