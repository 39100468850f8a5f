import { query } from "./database";
import { isStation, STATIONS, type Filter, type Station } from "./filter";

export const LOWEST = -60;
export const HIGHEST = 60;

const LISTED = 10;
const LATEST = 60;

export interface Reading {
  id: number;
  station: string;
  value: number;
  recordedAt: string;
}

export interface Figures {
  station: Station;
  count: number;
  latest: number;
  /** Against the first reading of the range. */
  change: number;
  min: number;
  max: number;
  mean: number;
  /** Means of the range's buckets: seconds since 1970, °C; the oldest first. */
  points: [number, number][];
}

/** What the page shows. A change of its shape needs another key in lib/dashboard.ts. */
export interface Snapshot {
  /** Of all stations and times. */
  total: number;
  /** Of all stations, so that the time axis is the same for each; undefined while there is none. */
  newest?: string;
  /** Stations without a reading in the range are not here. */
  figures: Figures[];
  /** The newest of the range, the newest first. */
  readings: Reading[];
}

interface Row {
  id: number;
  station: string;
  value: number;
  recorded_at: Date;
}

function toReading(row: Row): Reading {
  return { id: row.id, station: row.station, value: row.value, recordedAt: row.recorded_at.toISOString() };
}

/** The range ends at the newest reading, not now: what is shown does not depend on when one looks. */
export async function readSnapshot({ station, range }: Filter): Promise<Snapshot> {
  const [all] = await query<{ total: number; newest: Date | null }>(
    "select count(*)::int as total, max(recorded_at) as newest from readings",
  );
  if (!all?.newest) return { total: 0, figures: [], readings: [] };
  const since = new Date(all.newest.getTime() - range.ms);
  const stations = station ? [station] : [...STATIONS];

  const [figures, points, readings] = await Promise.all([
    query<Omit<Figures, "points"> & { first: number }>(
      `select station, count(*)::int as count, min(value) as min, max(value) as max, avg(value) as mean,
              (array_agg(value order by recorded_at desc, id desc))[1] as latest,
              (array_agg(value order by recorded_at, id))[1] as first
         from readings where recorded_at > $1 and station = any($2) group by station`,
      [since, stations],
    ),
    query<{ station: string; at: number; value: number }>(
      `select station, round(avg(extract(epoch from recorded_at)))::int as at, round(avg(value)::numeric, 2)::float8 as value
         from readings where recorded_at > $1 and station = any($2)
        group by station, date_bin(make_interval(secs => $3), recorded_at, $1) order by at`,
      [since, stations, range.bucketSeconds],
    ),
    query<Row>(
      `select id, station, value, recorded_at from readings where recorded_at > $1 and station = any($2)
        order by recorded_at desc, id desc limit $3`,
      [since, stations, LISTED],
    ),
  ]);
  return {
    total: all.total,
    newest: all.newest.toISOString(),
    figures: stations.flatMap((name) =>
      figures
        .filter((row) => row.station === name)
        .map(({ first, ...row }) => ({
          ...row,
          change: row.latest - first,
          points: points.filter((point) => point.station === name).map(({ at, value }): [number, number] => [at, value]),
        })),
    ),
    readings: readings.map(toReading),
  };
}

/** For programs: the latest of all times, the newest first. */
export async function readLatest(): Promise<{ total: number; readings: Reading[] }> {
  const rows = await query<Row & { total: number }>(
    `select id, station, value, recorded_at, (select count(*)::int from readings) as total
       from readings order by id desc limit $1`,
    [LATEST],
  );
  return { total: rows[0]?.total ?? 0, readings: rows.map(toReading) };
}

export async function insertReading(station: string, value: number): Promise<Reading> {
  const [row] = await query<Row>(
    "insert into readings (station, value) values ($1, $2) returning id, station, value, recorded_at",
    [station, value],
  );
  if (!row) throw new Error("the insert returned no row");
  return toReading(row);
}

/** From JSON or a form, hence unknown; undefined unless both are valid. */
export function parseReading(station: unknown, value: unknown): { station: Station; value: number } | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (!isStation(station) || typeof number !== "number") return undefined;
  return number >= LOWEST && number <= HIGHEST ? { station, value: number } : undefined; // NaN fails too
}
