import { colour, release } from "@/lib/config";
import { reply } from "@/lib/reply";

export const dynamic = "force-dynamic";

/** The process runs; says nothing about what it depends on. */
export function GET(): Response {
  return reply({ live: true, release: release(), colour: colour() });
}
