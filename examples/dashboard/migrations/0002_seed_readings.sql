-- 60 rows, the same on every run: 20 hours of three stations.
insert into readings (station, value, recorded_at)
select s.station,
       round((s.base + s.swing * sin((h - 8) * pi() / 12) + 0.7 * sin(h * 2.3 + s.base))::numeric, 1),
       timestamptz '2025-01-06 00:00:00+00' + h * interval '1 hour'
  from generate_series(0, 19) as h
 cross join (values ('harbour', 11.0, 2.5), ('meadow', 8.5, 5.0), ('summit', 1.5, 3.5)) as s (station, base, swing)
 order by h, s.station;
