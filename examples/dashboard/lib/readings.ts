import { cache } from "./cache";
import { query } from "./database";

export const STATIONS = ["harbour", "meadow", "summit"] as const;
export const LOWEST = -60;
export const HIGHEST = 60;

const SHOWN = 60;
const CACHE_SECONDS = 5;
// The version is raised with the shape of Snapshot: during a deployment two
// releases share one cache.
const CACHE_KEY = "readings:v1";

export interface Reading {
  id: number;
  station: string;
  value: number;
  recordedAt: string;
}

export interface Snapshot {
  total: number;
  /** The newest first. */
  readings: Reading[];
}

export interface Dashboard extends Snapshot {
  source: "cache" | "database" | "none";
  cacheDown: boolean;
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

export async function readSnapshot(): Promise<Snapshot> {
  const rows = await query<Row & { total: number }>(
    `select id, station, value, recorded_at, (count(*) over ())::int as total
       from readings order by id desc limit $1`,
    [SHOWN],
  );
  return { total: rows[0]?.total ?? 0, readings: rows.map(toReading) };
}

/** Never throws: what is away is said in the result. */
export async function loadDashboard(): Promise<Dashboard> {
  let cacheDown = false;
  try {
    const hit = await cache.get(CACHE_KEY);
    if (hit) return { ...(JSON.parse(hit) as Snapshot), source: "cache", cacheDown };
  } catch {
    cacheDown = true;
  }

  let snapshot: Snapshot;
  try {
    snapshot = await readSnapshot();
  } catch {
    return { total: 0, readings: [], source: "none", cacheDown };
  }
  if (!cacheDown) await cache.set(CACHE_KEY, JSON.stringify(snapshot), CACHE_SECONDS).catch(() => undefined);
  return { ...snapshot, source: "database", cacheDown };
}

export async function addReading(station: string, value: number): Promise<Reading> {
  const [row] = await query<Row>(
    "insert into readings (station, value) values ($1, $2) returning id, station, value, recorded_at",
    [station, value],
  );
  if (!row) throw new Error("the insert returned no row");
  // So that the writer sees the row at once; else it shows when the entry expires.
  await cache.del(CACHE_KEY).catch(() => undefined);
  return toReading(row);
}

/** From JSON or a form, hence unknown; undefined unless both are valid. */
export function parseReading(station: unknown, value: unknown): { station: string; value: number } | undefined {
  const known = STATIONS.find((name) => name === station);
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (!known || typeof number !== "number") return undefined;
  return number >= LOWEST && number <= HIGHEST ? { station: known, value: number } : undefined; // NaN fails too
}
