import { STATIONS, type Reading } from "@/lib/readings";

interface Props {
  /** Unknown while the database is away. */
  total: number | undefined;
  readings: Reading[];
}

/** The number of readings, and each station's latest with its change. */
export function Cards({ total, readings }: Props) {
  return (
    <section className="cards" aria-label="Figures">
      <div className="card">
        <h2>Readings</h2>
        <p className="figure">{total ?? "–"}</p>
        <p className="detail">in the database</p>
      </div>
      {STATIONS.map((station) => {
        const [latest, before] = readings.filter((reading) => reading.station === station);
        return (
          <div className="card" key={station}>
            <h2>{station}</h2>
            <p className="figure">{latest ? `${latest.value.toFixed(1)} °C` : "–"}</p>
            <p className="detail">{latest && before ? change(latest.value - before.value) : "no data"}</p>
          </div>
        );
      })}
    </section>
  );
}

function change(by: number): string {
  const size = Math.abs(by).toFixed(1);
  if (size === "0.0") return "unchanged";
  return `${by > 0 ? "▲" : "▼"} ${size} since the last`;
}
