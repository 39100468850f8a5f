/** The shape of the board while its figures are late. */
export function Skeleton() {
  return (
    <>
      <p className="banner" role="status">
        Waiting for figures ...
        <noscript> Without JavaScript they do not appear by themselves: reload the page.</noscript>
      </p>
      <div className="cards" aria-hidden="true">
        {[1, 2, 3, 4].map((card) => (
          <div key={card} className="card late" />
        ))}
      </div>
      <div className="panel plot late" aria-hidden="true" />
      <div className="panel list late" aria-hidden="true" />
    </>
  );
}
