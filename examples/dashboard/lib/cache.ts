import { createClient } from "@redis/client";
import { passwordFrom, port, required } from "./config";
import { reason, withTimeout } from "./errors";

const COMMAND_MS = 1_000;

function createCache() {
  const username = process.env.REDIS_USERNAME;
  const client = createClient({
    socket: {
      host: required("REDIS_HOST"),
      port: port("REDIS_PORT"),
      connectTimeout: 1_000,
      reconnectStrategy: (retries) => Math.min(100 * 2 ** retries, 2_000), // for ever
      // With the pings, a server that accepts but no longer answers is noticed.
      socketTimeout: 5_000,
    },
    pingInterval: 2_000,
    // Asked for at each connection.
    credentialsProvider: {
      type: "async-credentials-provider",
      credentials: async () => ({
        password: await passwordFrom("REDIS_PASSWORD_FILE"),
        ...(username ? { username } : {}),
      }),
    },
    // The ACL allows only keys of this prefix ...
    keyPrefix: "app:",
    // ... and few commands, so no HELLO and no CLIENT SETINFO upon connecting.
    RESP: 2,
    maintNotifications: "disabled",
    disableClientInfo: true,
    // While disconnected fail at once, rather than queue.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 1_000,
  });

  const state = { client, lastError: "not connected", attempted: Promise.resolve() };
  // 'error' events without a listener would end the process.
  client.on("error", (error: unknown) => {
    const message = reason(error);
    if (message !== state.lastError) console.error(`cache: ${message}`); // not at each retry
    state.lastError = message;
  });
  client.on("ready", () => {
    if (state.lastError !== "not connected") console.log("cache: connected");
    state.lastError = "not connected";
  });
  state.attempted = new Promise((resolve) => {
    client.once("ready", () => resolve());
    client.once("error", () => resolve());
  });
  client.connect().catch(() => undefined); // reported by the 'error' event
  return state;
}

// On globalThis because Next may bundle this module more than once.
declare global {
  var adafCache: ReturnType<typeof createCache> | undefined;
}

/** Runs one command, or throws within about a second. */
async function run<T>(command: (client: ReturnType<typeof createCache>["client"]) => Promise<T>): Promise<T> {
  const cache = (globalThis.adafCache ??= createCache());
  await withTimeout(cache.attempted, COMMAND_MS); // matters to the process's first use only
  if (!cache.client.isReady) throw new Error(cache.lastError);
  return withTimeout(command(cache.client), COMMAND_MS);
}

export const cache = {
  ping: () => run((client) => client.ping()),
  getMany: (keys: string[]) => run((client) => client.mGet(keys)),
  set: (key: string, value: string, seconds: number) =>
    run((client) => client.set(key, value, { expiration: { type: "EX", value: seconds } })),
  /** Increments the key, which expires `seconds` after its last increment, if they are given. */
  async increment(key: string, seconds?: number): Promise<number> {
    const count = await run((client) => client.incr(key));
    if (seconds) await run((client) => client.expire(key, seconds));
    return count;
  },
};
