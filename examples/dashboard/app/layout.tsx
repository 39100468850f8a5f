import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";
import { colour, release } from "@/lib/config";
import "./globals.css";

// Every page is rendered at its request, "not found" as well: the build knows
// neither data nor the release that it becomes.
export const dynamic = "force-dynamic";

export const metadata: Metadata = {
  title: "ADAF Dashboard",
  description: "Temperature readings of three stations",
};

export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#f4f6f9" },
    { media: "(prefers-color-scheme: dark)", color: "#0f141a" },
  ],
};

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <header>
          <div>
            <h1>
              <a href="/">ADAF Dashboard</a>
            </h1>
            <p>Temperatures of three stations</p>
          </div>
          <p className={`release ${colour()}`} title="What made this page">
            Release <code>{release()}</code> {colour()}
          </p>
        </header>
        {children}
      </body>
    </html>
  );
}
