import { Pool, type QueryResultRow } from "pg";
import { passwordFrom, port, required } from "./config";
import { reason } from "./errors";

// On globalThis because Next may bundle this module more than once.
declare global {
  var adafPool: Pool | undefined;
}

function createPool(): Pool {
  const pool = new Pool({
    host: required("DATABASE_HOST"),
    port: port("DATABASE_PORT"),
    database: required("DATABASE_NAME"),
    user: required("DATABASE_USER"),
    password: () => passwordFrom("DATABASE_PASSWORD_FILE"),
    application_name: "dashboard",
    max: 5,
    connectionTimeoutMillis: 1_500,
    query_timeout: 2_000,
    idleTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // An idle connection lost is dropped from the pool; unhandled, it would end the process.
  pool.on("error", (error) => console.error(`database: ${reason(error)}`));
  return pool;
}

export async function query<Row extends QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
  const pool = (globalThis.adafPool ??= createPool());
  return (await pool.query<Row>(sql, values)).rows;
}
