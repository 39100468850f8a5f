import { STATIONS, type Reading } from "@/lib/readings";

// The SVG is stretched to the space there is; text is HTML so that it is not.
const WIDTH = 100;
const HEIGHT = 100;
const STEP = 5;

/** One line per station, by order rather than by time: the newest at the right. */
export function Chart({ readings }: { readings: Reading[] }) {
  const values = readings.map((reading) => reading.value);
  const low = values.length > 0 ? Math.floor(Math.min(...values) / STEP) * STEP : 0;
  const high = Math.max(low + STEP, Math.ceil(Math.max(...values, low) / STEP) * STEP);
  const series = STATIONS.map((station) => readings.filter((reading) => reading.station === station));
  const longest = Math.max(...series.map((line) => line.length));

  const points = (line: Reading[]) =>
    line
      .map(({ value }, age) => {
        const x = WIDTH - (age * WIDTH) / Math.max(1, longest - 1);
        const y = HEIGHT - ((value - low) / (high - low)) * HEIGHT;
        return `${x.toFixed(2)},${y.toFixed(2)}`;
      })
      .join(" ");

  return (
    <section className="panel">
      <div className="panel-head">
        <h2>Latest readings, °C</h2>
        <ul className="legend">
          {STATIONS.map((station, index) => (
            <li key={station} className={`series-${index + 1}`}>
              {station}
            </li>
          ))}
        </ul>
      </div>
      {readings.length === 0 ? (
        <p className="empty">No readings to draw.</p>
      ) : (
        <div className="chart">
          <div className="scale" aria-hidden="true">
            <span>{high}</span>
            <span>{(high + low) / 2}</span>
            <span>{low}</span>
          </div>
          <svg
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={`Line chart of the latest ${readings.length} readings, from ${low} to ${high} °C`}
          >
            {[0, 0.5, 1].map((at) => (
              <line key={at} className="grid" x1="0" x2={WIDTH} y1={at * HEIGHT} y2={at * HEIGHT} />
            ))}
            {series.map((line, index) => (
              <polyline key={index} className={`series-${index + 1}`} points={points(line)} />
            ))}
          </svg>
          <div className="ends" aria-hidden="true">
            <span>older</span>
            <span>newest</span>
          </div>
        </div>
      )}
    </section>
  );
}
