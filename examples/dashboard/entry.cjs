"use strict";
// The process's real entry. The pipeline copies this file next to the
// standalone server.js and starts `node entry.cjs` in that directory. It wraps
// what Next offers no hook for: a header on every response (pages, static
// files, API), counting requests by status, and a graceful shutdown.
const http = require("node:http");

// Between failing readiness and closing the listener, so that a proxy can see
// the former before it would run into the latter.
const DRAIN_NOTICE_MS = 1_000;
// Whatever still runs this long after SIGTERM is cut off.
const DRAIN_LIMIT_MS = 15_000;
// Longer than a proxy keeps its idle connections: the proxy is to be the side
// that closes, or it might send a request into a connection closed by us.
const KEEP_ALIVE_MS = 75_000;

const release = process.env.ADAF_RELEASE || "dev";
// Better to fail at the start than on every request.
http.validateHeaderValue("x-release-id", release);

// Otherwise Next installs its own SIGTERM handler, which exits on its own terms.
process.env.NEXT_MANUAL_SIG_HANDLE = "true";

// Read by the routes, through lib/runtime.ts.
const state = (globalThis.adafRuntime = { draining: false, inFlight: 0, requestsByStatus: {} });

const inFlight = new Set();
let server;

const createServer = http.createServer;
http.createServer = function createObservedServer(...args) {
  server = createServer.apply(this, args);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.prependListener("request", observe);
  return server;
};

function observe(_request, response) {
  response.setHeader("x-release-id", release);
  if (state.draining) response.setHeader("Connection", "close");

  inFlight.add(response);
  state.inFlight = inFlight.size;
  response.once("close", () => {
    inFlight.delete(response);
    state.inFlight = inFlight.size;
    // 499, as nginx has it: the client went away before the answer was out.
    const status = response.writableFinished ? response.statusCode : 499;
    state.requestsByStatus[status] = (state.requestsByStatus[status] ?? 0) + 1;
  });
}

function drain(signal) {
  if (state.draining) return;
  state.draining = true; // from here on /api/health/ready answers 503
  console.log(`entry: ${signal}, draining ${inFlight.size} request(s)`);
  if (!server) process.exit(0);

  for (const response of inFlight) {
    if (!response.headersSent) response.setHeader("Connection", "close");
  }
  setTimeout(() => {
    // Stops accepting, closes idle connections, calls back when all are gone.
    server.close(() => exit("drained"));
    // A response begun before SIGTERM had no "Connection: close": what it
    // leaves open turns idle only now.
    setInterval(() => server.closeIdleConnections(), 100);
  }, DRAIN_NOTICE_MS);
  setTimeout(() => exit(`gave up on ${inFlight.size} request(s)`), DRAIN_LIMIT_MS);
}

function exit(why) {
  console.log(`entry: ${why}, exiting`);
  process.exit(0);
}

process.on("SIGTERM", drain);
process.on("SIGINT", drain);

require("./server.js");
