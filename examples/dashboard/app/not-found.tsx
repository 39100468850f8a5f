export default function NotFound() {
  return (
    <main>
      <section className="panel empty">
        <h2>There is no such page</h2>
        <p>
          All there is to see is on <a href="/">the dashboard</a>.
        </p>
      </section>
    </main>
  );
}
