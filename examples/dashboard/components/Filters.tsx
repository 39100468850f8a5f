import { address, RANGES, STATIONS, type Filter } from "@/lib/filter";

/** Links, so that each choice has an address of its own and needs no JavaScript. */
export function Filters({ filter }: { filter: Filter }) {
  const stations = [undefined, ...STATIONS];
  return (
    <nav className="filters" aria-label="Filter">
      <div className="choice stations" role="group" aria-label="Station">
        {stations.map((station) => (
          <Choice key={station ?? "all"} to={{ ...filter, station }} chosen={station === filter.station}>
            {station ?? "All stations"}
          </Choice>
        ))}
      </div>
      <div className="choice" role="group" aria-label="Time range">
        {[...RANGES]
          .sort((one, other) => one.ms - other.ms)
          .map((range) => (
            <Choice key={range.key} to={{ ...filter, range }} chosen={range === filter.range}>
              {range.label}
            </Choice>
          ))}
      </div>
    </nav>
  );
}

function Choice({ to, chosen, children }: { to: Filter; chosen: boolean; children: string }) {
  return (
    <a href={address(to)} aria-current={chosen || undefined}>
      {children}
    </a>
  );
}
