import { cache } from "@/lib/cache";
import { query } from "@/lib/database";
import { reason, withTimeout } from "@/lib/errors";
import { reply } from "@/lib/reply";
import { runtime } from "@/lib/runtime";

export const dynamic = "force-dynamic";

async function check(work: Promise<unknown>): Promise<string> {
  try {
    await withTimeout(work, 1_000);
    return "ok";
  } catch (error) {
    return `down: ${reason(error)}`;
  }
}

/** May this process be sent requests? */
export async function GET(): Promise<Response> {
  if (runtime().draining) return reply({ draining: true }, { status: 503 });
  const [database, cacheState] = await Promise.all([check(query("select 1")), check(cache.ping())]);
  const ready = database === "ok" && cacheState === "ok";
  return reply({ database, cache: cacheState }, { status: ready ? 200 : 503 });
}
