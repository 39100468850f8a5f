import { AddReading } from "@/components/AddReading";
import { Banner } from "@/components/Banner";
import { Cards } from "@/components/Cards";
import { Chart } from "@/components/Chart";
import { ReadingsTable } from "@/components/ReadingsTable";
import type { Dashboard } from "@/lib/dashboard";
import { address, RANGES, type Filter } from "@/lib/filter";
import { clock, day } from "@/lib/format";
import type { Snapshot } from "@/lib/readings";

interface Props {
  filter: Filter;
  data: Dashboard;
}

/** What there is to see, and what is away. */
export function Board({ filter, data: { snapshot, madeAt, source, cacheDown, databaseDown } }: Props) {
  const at = new Date(madeAt);
  return (
    <>
      {databaseDown && (
        <Banner tone="bad">
          <strong>Database unavailable.</strong>{" "}
          {snapshot ? `These are the figures of ${clock(at)} UTC.` : "Figures are back as soon as it is."}
        </Banner>
      )}
      {cacheDown && (
        <Banner tone="warn">
          <strong>Cache unavailable.</strong>{" "}
          {databaseDown ? "Nor can earlier figures be shown." : "Figures are read from the database directly."}
        </Banner>
      )}
      {snapshot ? (
        <Content filter={filter} snapshot={snapshot} />
      ) : (
        <section className="panel empty">
          <h2>No figures</h2>
          <p>
            <a href={address(filter)}>Try again</a>
          </p>
        </section>
      )}
      {!databaseDown && <AddReading filter={filter} />}
      <p className="origin">
        {snapshot?.newest && `Newest reading ${day(new Date(snapshot.newest))} ${clock(new Date(snapshot.newest))} UTC. `}
        {snapshot ? `Read from the ${source}` : "Asked"} at {at.toISOString().slice(11, 19)} UTC.
      </p>
    </>
  );
}

function Content({ filter, snapshot }: { filter: Filter; snapshot: Snapshot }) {
  if (!snapshot.newest) {
    return (
      <section className="panel empty">
        <h2>No readings yet</h2>
        <p>Figures and a chart appear with the first one.</p>
      </section>
    );
  }
  return (
    <>
      <Cards filter={filter} snapshot={snapshot} />
      {snapshot.figures.length === 0 ? (
        <Nothing filter={filter} />
      ) : (
        <>
          <section className="panel plot" aria-labelledby="plot">
            <div className="panel-head">
              <h2 id="plot">Temperature, °C</h2>
              <ul className="legend">
                {snapshot.figures.map(({ station }) => (
                  <li key={station} className={`key ${station}`}>
                    {station}
                  </li>
                ))}
              </ul>
            </div>
            <Chart filter={filter} newest={snapshot.newest} figures={snapshot.figures} />
          </section>
          <section className="panel list">
            <ReadingsTable readings={snapshot.readings} />
          </section>
        </>
      )}
    </>
  );
}

/** Others have readings in this time, or an earlier time has. */
function Nothing({ filter }: { filter: Filter }) {
  const longest = RANGES.reduce((one, other) => (other.ms > one.ms ? other : one));
  return (
    <section className="panel empty">
      <h2>
        No readings of {filter.station} in the last {filter.range.label}
      </h2>
      <p>
        See <a href={address({ ...filter, station: undefined })}>all stations</a>
        {filter.range !== longest && (
          <>
            {" "}
            or <a href={address({ ...filter, range: longest })}>the last {longest.label}</a>
          </>
        )}
        .
      </p>
    </section>
  );
}
