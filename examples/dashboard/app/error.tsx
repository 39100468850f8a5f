"use client";

/** Instead of a page that threw; the status is 500. */
export default function Failed({ error }: { error: Error & { digest?: string } }) {
  return (
    <main>
      <section className="panel empty" role="alert">
        <h2>This page could not be made</h2>
        <p>It is our fault, not yours. The readings are safe.</p>
        {error.digest && (
          <p>
            In the logs it is <code>{error.digest}</code>.
          </p>
        )}
        <p>
          <button type="button" onClick={() => location.reload()}>
            Try again
          </button>
        </p>
      </section>
    </main>
  );
}
