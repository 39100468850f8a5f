import { colour, release } from "@/lib/config";
import { runtime } from "@/lib/runtime";

export const dynamic = "force-dynamic";

function label(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

/** Prometheus' text format; few enough metrics to need no library. */
export function GET(): Response {
  const { requestsByStatus, inFlight, draining } = runtime();
  const memory = process.memoryUsage();
  const lines = [
    "# HELP dashboard_release_info The release that this process runs.",
    "# TYPE dashboard_release_info gauge",
    `dashboard_release_info{release="${label(release())}"} 1`,
    "# HELP dashboard_colour_info The colour that this process runs as.",
    "# TYPE dashboard_colour_info gauge",
    `dashboard_colour_info{colour="${label(colour())}"} 1`,
    "# HELP dashboard_draining 1 once the process was told to stop.",
    "# TYPE dashboard_draining gauge",
    `dashboard_draining ${draining ? 1 : 0}`,
    "# HELP http_requests_total Requests answered, by status; 499 where the client left first.",
    "# TYPE http_requests_total counter",
    ...Object.entries(requestsByStatus).map(([status, count]) => `http_requests_total{status="${status}"} ${count}`),
    "# HELP http_requests_in_flight Requests being answered, this one included.",
    "# TYPE http_requests_in_flight gauge",
    `http_requests_in_flight ${inFlight}`,
    "# HELP process_resident_memory_bytes Resident memory.",
    "# TYPE process_resident_memory_bytes gauge",
    `process_resident_memory_bytes ${memory.rss}`,
    "# HELP nodejs_heap_used_bytes JavaScript heap in use.",
    "# TYPE nodejs_heap_used_bytes gauge",
    `nodejs_heap_used_bytes ${memory.heapUsed}`,
    "# HELP process_uptime_seconds Time since the process started.",
    "# TYPE process_uptime_seconds gauge",
    `process_uptime_seconds ${process.uptime().toFixed(1)}`,
  ];
  return new Response(lines.join("\n") + "\n", {
    headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" },
  });
}
