import { clock, day, degrees } from "@/lib/format";
import type { Reading } from "@/lib/readings";

export function ReadingsTable({ readings }: { readings: Reading[] }) {
  return (
    <table>
      <caption>Newest readings</caption>
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
        {readings.map(({ id, station, value, recordedAt }) => {
          const at = new Date(recordedAt);
          return (
            <tr key={id}>
              <td>{`${day(at)} ${clock(at)}`}</td>
              <th scope="row" className={`key ${station}`}>
                {station}
              </th>
              <td className="number">{degrees(value)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
