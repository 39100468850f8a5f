import type { Filter } from "@/lib/filter";
import { clock, day, degrees } from "@/lib/format";
import type { Figures } from "@/lib/readings";
import { linePath, timeTicks, valueTicks, type Point } from "@/lib/scale";

const HOUR = 3_600_000;
// Of the inner drawing, which is stretched to the space there is. Text and dots
// are placed in per cent of the outer one, so that they are not.
const SIZE = 2_000;

interface Props {
  filter: Filter;
  newest: string;
  figures: Figures[];
}

/** One line per station over a real time axis, which ends at the newest reading of all. */
export function Chart({ filter: { range }, newest, figures }: Props) {
  const to = new Date(newest).getTime();
  const from = to - range.ms;
  const levels = valueTicks(figures.flatMap(({ latest, points }) => [latest, ...points.map(([, value]) => value)]));
  const [low = 0, high = 1] = [levels[0], levels.at(-1)];
  const x = (at: number) => (at - from) / range.ms;
  const y = (value: number) => 1 - (value - low) / (high - low);
  const percent = (part: number) => `${(part * 100).toFixed(1)}%`;
  const gap = (Math.max(3 * range.bucketSeconds * 1_000, HOUR) / range.ms) * SIZE;
  const times = timeTicks(from, to, range.tickMs);
  const across = (level: number) => `M0 ${y(level) * SIZE}H${SIZE}`;
  const up = (time: number) => `M${Math.round(x(time) * SIZE)} 0V${SIZE}`;
  const line = (points: [number, number][]) =>
    linePath(points.map(([at, value]): Point => [x(at * 1_000) * SIZE, y(value) * SIZE]), gap);

  return (
    <svg className="chart" role="img" aria-label={describe(range.label, figures)}>
      <svg viewBox={`0 0 ${SIZE} ${SIZE}`} preserveAspectRatio="none" width="100%" height="100%">
        <path className="grid" d={levels.map(across).join("") + times.map(up).join("")} />
        {levels.includes(0) && <path className="zero" d={across(0)} />}
        {figures.map(({ station, points }) => (
          <path key={station} className={`line ${station}`} d={line(points)} />
        ))}
      </svg>
      {levels.map((level) => (
        <text key={level} className="level" x="0" y={percent(y(level))}>
          {level < 0 ? `−${-level}` : level}
        </text>
      ))}
      {times.map((time) => {
        const at = new Date(time);
        const midnight = time % (24 * HOUR) === 0;
        const extra = time % (2 * range.tickMs) !== 0; // left out where there is little space
        return (
          <text key={time} className={`time${midnight ? " day" : ""}${extra ? " extra" : ""}`} x={percent(x(time))} y="100%">
            {midnight ? day(at) : clock(at)}
          </text>
        );
      })}
      {figures.map(({ station, points }) => {
        const [at, value] = points.at(-1) ?? [0, 0];
        return <circle key={station} className={station} cx={percent(x(at * 1_000))} cy={percent(y(value))} r="4" />;
      })}
    </svg>
  );
}

function describe(range: string, figures: Figures[]): string {
  const each = figures.map(({ station, min, max }) => `${station} from ${degrees(min)} to ${degrees(max)} °C`);
  return `Line chart of the last ${range}: ${each.join(", ")}`;
}
