import { readFile } from "node:fs/promises";

// All configuration comes from the environment and is read when it is used,
// never at build time.

export function release(): string {
  return process.env.ADAF_RELEASE || "dev";
}

export function colour(): string {
  return process.env.ADAF_COLOUR || "none";
}

export function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

export function port(name: string): number {
  const value = Number(required(name));
  if (!Number.isInteger(value) || value < 1 || value > 65535) {
    throw new Error(`${name} is not a port number`);
  }
  return value;
}

/** Reads a password anew for each connection, so that a rotated one is picked up. */
export async function passwordFrom(name: string): Promise<string> {
  return (await readFile(required(name), "utf8")).trim();
}
