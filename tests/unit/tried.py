"""How much bad input the tests of one run tried, for the last line of the report."""

from __future__ import annotations

from collections import Counter

CASES: Counter[str] = Counter()
