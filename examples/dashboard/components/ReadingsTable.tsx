import type { Reading } from "@/lib/readings";

const ROWS = 10;

export function ReadingsTable({ readings }: { readings: Reading[] }) {
  return (
    <section className="panel">
      <h2>Newest readings</h2>
      {readings.length === 0 ? (
        <p className="empty">No readings.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Recorded, UTC</th>
              <th scope="col">Station</th>
              <th scope="col" className="number">
                °C
              </th>
            </tr>
          </thead>
          <tbody>
            {readings.slice(0, ROWS).map((reading) => (
              <tr key={reading.id}>
                <td>
                  <time dateTime={reading.recordedAt}>{reading.recordedAt.slice(0, 16).replace("T", " ")}</time>
                </td>
                <td>{reading.station}</td>
                <td className="number">{reading.value.toFixed(1)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
