import { cache } from "@/lib/cache";
import { colour, release } from "@/lib/config";
import { reply } from "@/lib/reply";

export const dynamic = "force-dynamic";

const KEEP_SECONDS = 3_600;
const LOCAL_MAX = 10_000;

/** Counts while the cache is away: this process's own, lost with it. */
const local = new Map<string, number>();

function countLocally(key: string): number {
  const seen = (local.get(key) ?? 0) + 1;
  if (local.size >= LOCAL_MAX) local.clear(); // bounded, simply
  local.set(key, seen);
  return seen;
}

export function GET(): Response {
  return reply({ ok: true, release: release(), colour: colour() });
}

/** Tells how many times a request with this Idempotency-Key was processed. */
export async function POST(request: Request): Promise<Response> {
  const key = request.headers.get("idempotency-key") ?? "";
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) return reply({ error: "Idempotency-Key: 1 to 200 characters" }, { status: 400 });
  const seen = await cache.increment(`probe:${key}`, KEEP_SECONDS).catch(() => countLocally(key));
  return reply({ seen }, { headers: { "Idempotency-Seen": String(seen) } });
}
