import { HIGHEST, LOWEST, STATIONS } from "@/lib/readings";

/** A plain form: works without JavaScript, and across releases. */
export function AddReading() {
  return (
    <section className="panel">
      <h2>Add a reading</h2>
      <form method="post" action="/api/readings">
        <label>
          Station
          <select name="station" required>
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
