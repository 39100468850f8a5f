import { Suspense } from "react";
import { Banner } from "@/components/Banner";
import { Board } from "@/components/Board";
import { Filters } from "@/components/Filters";
import { Skeleton } from "@/components/Skeleton";
import { loadDashboard, type Dashboard } from "@/lib/dashboard";
import { parseFilter, type Filter, type Query } from "@/lib/filter";

// Longer than figures take, unless something is wrong with the database.
const PATIENCE_MS = 300;

const NOTICES = new Map([
  ["saved", { tone: "good", text: "The reading was saved." }],
  ["invalid", { tone: "bad", text: "Not saved: the station or the value is invalid." }],
  ["failed", { tone: "bad", text: "Not saved: the database is unavailable. Please try again." }],
]);

export default async function Page({ searchParams }: { searchParams: Promise<Query> }) {
  const query = await searchParams;
  const { filter, problems } = parseFilter(query);
  const work = loadDashboard(filter);
  // Not simply <Suspense> (or a loading.tsx): what throws below one is sent
  // with status 200, and neither a visitor's client nor a canary would know.
  const data = await Promise.race([work, new Promise<undefined>((late) => setTimeout(late, PATIENCE_MS))]);
  const shown = NOTICES.get(String(query.notice));
  return (
    <main>
      {shown && <Banner tone={shown.tone}>{shown.text}</Banner>}
      {problems.map((problem) => (
        <Banner key={problem} tone="warn">
          {problem}
        </Banner>
      ))}
      <Filters filter={filter} />
      <div className="board">
        {data ? (
          <Board filter={filter} data={data} />
        ) : (
          <Suspense fallback={<Skeleton />}>
            <LateBoard filter={filter} work={work} />
          </Suspense>
        )}
      </div>
    </main>
  );
}

async function LateBoard({ filter, work }: { filter: Filter; work: Promise<Dashboard> }) {
  return <Board filter={filter} data={await work} />;
}
