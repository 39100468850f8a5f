import { STATIONS, type Filter } from "@/lib/filter";
import { degrees, thousands } from "@/lib/format";
import type { Figures, Snapshot } from "@/lib/readings";

interface Props {
  filter: Filter;
  snapshot: Snapshot;
}

/** Each station's latest, its change, and what it was between; and how many readings that is about. */
export function Cards({ filter, snapshot }: Props) {
  const count = snapshot.figures.reduce((sum, { count }) => sum + count, 0);
  return (
    <section className="cards" aria-label="Figures">
      {(filter.station ? [filter.station] : STATIONS).map((station) => (
        <div className={`card ${station}`} key={station}>
          <h2 className="key">{station}</h2>
          <Station figures={snapshot.figures.find((figures) => figures.station === station)} range={filter.range.short} />
        </div>
      ))}
      <div className="card">
        <h2>Readings</h2>
        <p className="figure">{thousands(count)}</p>
        <p className="detail">in the last {filter.range.short}</p>
        <dl>
          <Term name="In the database" value={thousands(snapshot.total)} />
        </dl>
      </div>
    </section>
  );
}

function Station({ figures, range }: { figures: Figures | undefined; range: string }) {
  if (!figures) {
    return (
      <>
        <p className="figure">–</p>
        <p className="detail">no reading in the last {range}</p>
      </>
    );
  }
  const { count, latest, change, min, mean, max } = figures;
  const by = degrees(Math.abs(change));
  const moved = by === "0.0" ? "unchanged" : `${change > 0 ? "▲ +" : "▼ −"}${by}`;
  return (
    <>
      <p className="figure">
        {degrees(latest)} <small>°C</small>
      </p>
      <p className="detail">
        {count === 1 ? "one reading" : moved} in {range}
      </p>
      <dl>
        <Term name="Min" value={degrees(min)} />
        <Term name="Mean" value={degrees(mean)} />
        <Term name="Max" value={degrees(max)} />
      </dl>
    </>
  );
}

function Term({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}
