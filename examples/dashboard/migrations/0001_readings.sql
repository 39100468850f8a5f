-- Additive only: the release still running must work with the new schema too.
create table readings (
    id          integer generated always as identity primary key,
    station     text not null check (length(station) between 1 and 40),
    value       double precision not null check (value between -60 and 60),
    recorded_at timestamptz not null default now()
);
