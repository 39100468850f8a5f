// Everything is in UTC: the server does not know the visitor's clock, and says so.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "25 Nov" */
export function day(at: Date): string {
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
}

/** "17:05" */
export function clock(at: Date): string {
  return at.toISOString().slice(11, 16);
}

/** One decimal, with a minus that is as wide as a digit, and never "-0.0". */
export function degrees(value: number): string {
  return (Math.round(value * 10) / 10 || 0).toFixed(1).replace("-", "−");
}

export function thousands(count: number): string {
  return count.toLocaleString("en-GB");
}
