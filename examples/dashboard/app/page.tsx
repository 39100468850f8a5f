import { AddReading } from "@/components/AddReading";
import { Cards } from "@/components/Cards";
import { Chart } from "@/components/Chart";
import { ReadingsTable } from "@/components/ReadingsTable";
import { colour, release } from "@/lib/config";
import { loadDashboard } from "@/lib/readings";

// Rendered at each request: never with the build's data, which has none.
export const dynamic = "force-dynamic";

const NOTICES: Record<string, { tone: string; text: string }> = {
  saved: { tone: "good", text: "The reading was saved." },
  invalid: { tone: "bad", text: "Not saved: the station or the value is invalid." },
  failed: { tone: "bad", text: "Not saved: the database is unavailable. Please try again." },
};

interface Props {
  searchParams: Promise<{ notice?: string | string[] }>;
}

export default async function Page({ searchParams }: Props) {
  const [{ notice }, data] = await Promise.all([searchParams, loadDashboard()]);
  const shown = typeof notice === "string" ? NOTICES[notice] : undefined;
  return (
    <>
      <header>
        <h1>ADAF Dashboard</h1>
        <p>Temperatures of three stations</p>
      </header>
      <main>
        {data.source === "none" && (
          <p className="banner bad" role="alert">
            Database unavailable: there is nothing to show until it is back.
          </p>
        )}
        {data.cacheDown && (
          <p className="banner warn" role="status">
            Cache unavailable{data.source === "database" && ": figures are read from the database directly"}.
          </p>
        )}
        {shown && (
          <p className={`banner ${shown.tone}`} role="status">
            {shown.text}
          </p>
        )}
        <Cards total={data.source === "none" ? undefined : data.total} readings={data.readings} />
        <Chart readings={data.readings} />
        <div className="columns">
          <ReadingsTable readings={data.readings} />
          <AddReading />
        </div>
      </main>
      <footer>
        <span>
          Release <code>{release()}</code>
        </span>
        <span>Colour {colour()}</span>
        <span>Data from {data.source === "none" ? "nowhere" : `the ${data.source}`}</span>
      </footer>
    </>
  );
}
