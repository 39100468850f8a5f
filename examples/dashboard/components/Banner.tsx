interface Props {
  tone: string;
  children: React.ReactNode;
}

/** One line of news above the figures; only what is bad interrupts who listens to the page. */
export function Banner({ tone, children }: Props) {
  return (
    <p className={`banner ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      {children}
    </p>
  );
}
