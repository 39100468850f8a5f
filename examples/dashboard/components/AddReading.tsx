import { STATIONS, type Filter } from "@/lib/filter";
import { HIGHEST, LOWEST } from "@/lib/readings";

/** A plain form: works without JavaScript, and across releases. */
export function AddReading({ filter }: { filter: Filter }) {
  return (
    <section className="panel" aria-labelledby="add">
      <h2 id="add">Add a reading</h2>
      <form method="post" action="/api/readings">
        <input type="hidden" name="shownStation" value={filter.station ?? ""} />
        <input type="hidden" name="shownRange" value={filter.range.key} />
        <label>
          Station
          <select name="station" defaultValue={filter.station ?? STATIONS[0]} required>
            {STATIONS.map((station) => (
              <option key={station}>{station}</option>
            ))}
          </select>
        </label>
        <label>
          Temperature, °C
          <input name="value" type="number" min={LOWEST} max={HIGHEST} step="0.1" placeholder="12.5" required />
        </label>
        <button type="submit">Save</button>
      </form>
    </section>
  );
}
