// @ts-check
import { fileURLToPath } from "node:url";

/** @type {import("next").NextConfig} */
const config = {
  // A self-contained server with only the modules it uses: what the pipeline ships.
  output: "standalone",
  // Without this, a lockfile in a parent directory would move the root, and
  // with it the place of server.js inside .next/standalone.
  outputFileTracingRoot: fileURLToPath(new URL(".", import.meta.url)),
  // Next would trace it as its own need, but a running server has none.
  outputFileTracingExcludes: { "*": ["node_modules/.pnpm/typescript@*/**", "node_modules/typescript/**"] },
  // Next's default is a random id, which would make every build differ.
  generateBuildId: () => process.env.ADAF_BUILD_ID || "adaf",
  // ESLint is not a dependency here.
  eslint: { ignoreDuringBuilds: true },
  // No images to optimise, hence no native "sharp" in the bundle.
  images: { unoptimized: true },
  poweredByHeader: false,
  // The build's scripts carry their hashes: what a cache or a proxy changed does not run.
  experimental: { sri: { algorithm: "sha384" } },
};

export default config;
