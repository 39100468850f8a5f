-- What the tiny application would keep: one row per executed POST.
CREATE TABLE IF NOT EXISTS probe (
    request text PRIMARY KEY,
    release text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
