import { cache } from "./cache";
import { reason } from "./errors";
import type { Filter } from "./filter";
import { insertReading, readSnapshot, type Reading, type Snapshot } from "./readings";

const FRESH_MS = 5_000;
// Older figures are better than none while the database is away.
const KEEP_SECONDS = 600;
// The version is raised with the shape of Entry: during a deployment two
// releases share one cache.
const VERSION = "readings:v2";
const GENERATION = `${VERSION}:generation`;

interface Entry {
  /** Every write begins another generation, and thereby ends the entries of all filters. */
  generation: string;
  madeAt: number;
  snapshot: Snapshot;
}

export interface Dashboard {
  /** Undefined when there is none to be had. */
  snapshot: Snapshot | undefined;
  /** Of the snapshot, milliseconds since 1970. */
  madeAt: number;
  source: "cache" | "database" | "none";
  cacheDown: boolean;
  /** The snapshot, if there is one, is an old one. */
  databaseDown: boolean;
}

/** Never throws: what is away is said in the result. */
export async function loadDashboard(filter: Filter): Promise<Dashboard> {
  const key = `${VERSION}:${filter.station ?? "all"}:${filter.range.key}`;
  let generation = "0";
  let kept: Entry | undefined;
  let cacheDown = false;
  try {
    const [current, entry] = await cache.getMany([GENERATION, key]);
    generation = current ?? "0";
    if (entry) kept = JSON.parse(entry) as Entry;
  } catch {
    cacheDown = true;
  }
  if (kept?.generation === generation && Date.now() - kept.madeAt < FRESH_MS) {
    return { snapshot: kept.snapshot, madeAt: kept.madeAt, source: "cache", cacheDown, databaseDown: false };
  }

  const madeAt = Date.now();
  let snapshot: Snapshot;
  try {
    snapshot = await readSnapshot(filter);
  } catch (error) {
    noteDatabase(reason(error));
    const source = kept ? "cache" : "none";
    return { snapshot: kept?.snapshot, madeAt: kept?.madeAt ?? madeAt, source, cacheDown, databaseDown: true };
  }
  noteDatabase("");
  const entry: Entry = { generation, madeAt, snapshot };
  if (!cacheDown) await cache.set(key, JSON.stringify(entry), KEEP_SECONDS).catch(() => undefined);
  return { snapshot, madeAt, source: "database", cacheDown, databaseDown: false };
}

let lastError = "";

/** Says when the database went and when it came back, rather than at each request. */
function noteDatabase(error: string): void {
  if (error && error !== lastError) console.error(`database: ${error}`);
  if (!error && lastError) console.log("database: answers again");
  lastError = error;
}

export async function addReading(station: string, value: number): Promise<Reading> {
  const row = await insertReading(station, value);
  // So that the writer sees the row at once; else it shows when the entries are no longer fresh.
  await cache.increment(GENERATION).catch(() => undefined);
  return row;
}
