import { NextResponse, type NextRequest } from "next/server";

/**
 * What a page may load and run: only what carries this answer's nonce, and what that loads. Next reads the nonce from
 * the request's header and puts it on each script and style that it writes, streamed ones included.
 */
export function middleware(request: NextRequest): NextResponse {
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(18))).toString("base64");
  // React makes its stacks with eval under `next dev`, and only there.
  const forDevelopment = process.env.NODE_ENV === "development" ? " 'unsafe-eval'" : "";
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic'${forDevelopment}`,
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' blob: data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    // Behind https only: without it, the same line would make a browser look for https that is not there.
    ...(request.headers.get("x-forwarded-proto") === "https" ? ["upgrade-insecure-requests"] : []),
  ].join("; ");

  const headers = new Headers(request.headers);
  headers.set("content-security-policy", policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  return response;
}

// Every answer but the files of the build, which are the same for everybody, and cached.
export const config = { matcher: "/((?!_next/static/).*)" };
