/** What entry.cjs shares with the routes. */
export interface Runtime {
  draining: boolean;
  inFlight: number;
  requestsByStatus: Record<string, number>;
}

declare global {
  var adafRuntime: Runtime | undefined;
}

/** Under `next dev` there is no entry.cjs, hence the default. */
export function runtime(): Runtime {
  return (globalThis.adafRuntime ??= { draining: false, inFlight: 0, requestsByStatus: {} });
}
