import { addReading } from "@/lib/dashboard";
import { reason } from "@/lib/errors";
import { address, parseFilter } from "@/lib/filter";
import { parseReading, readLatest } from "@/lib/readings";
import { reply } from "@/lib/reply";

export const dynamic = "force-dynamic";

export async function GET(): Promise<Response> {
  try {
    return reply(await readLatest());
  } catch (error) {
    return unavailable(error);
  }
}

/**
 * Takes JSON, answered with the row, or the page's form, answered with a
 * redirect to the page. A plain form rather than a server action: the ids of
 * those differ between releases, and a page may be posted to the next one.
 */
export async function POST(request: Request): Promise<Response> {
  if (request.headers.get("sec-fetch-site") === "cross-site") return reply({ error: "cross-site" }, { status: 403 });
  const isForm = !request.headers.get("content-type")?.startsWith("application/json");

  const input = isForm ? await readForm(request) : await readJson(request);
  const reading = parseReading(input.station, input.value);
  const toPage = (notice: string) => redirect(input, notice);
  if (!reading) return isForm ? toPage("invalid") : reply({ error: "station or value is invalid" }, { status: 400 });
  try {
    const row = await addReading(reading.station, reading.value);
    return isForm ? toPage("saved") : reply(row, { status: 201 });
  } catch (error) {
    return isForm ? toPage("failed") : unavailable(error);
  }
}

interface Input {
  station?: unknown;
  value?: unknown;
  /** The filter of the page that the form was on. */
  shownStation?: unknown;
  shownRange?: unknown;
}

async function readForm(request: Request): Promise<Input> {
  return request.formData().then(Object.fromEntries<unknown>, () => ({}));
}

async function readJson(request: Request): Promise<Input> {
  const body: unknown = await request.json().catch(() => undefined);
  return typeof body === "object" && body !== null ? body : {};
}

function redirect({ shownStation, shownRange }: Input, notice: string): Response {
  const { filter } = parseFilter({ station: String(shownStation ?? ""), range: String(shownRange ?? "") });
  // Relative, as behind a proxy this process does not know its public address.
  return new Response(null, { status: 303, headers: { Location: address(filter, { notice }) } });
}

function unavailable(error: unknown): Response {
  console.error(`readings: ${reason(error)}`);
  return reply({ error: "database unavailable" }, { status: 503 });
}
