"""How the fault tests count what visitors met."""

from __future__ import annotations

from prod import Seen

from adaf_pipeline.workflows.receipt import Result


def answer(
    at: float, status: int = 200, error: str = "", release: str = "r1", seen: int = 1, method: str = "GET"
) -> Result:
    return Result(at, method, "fresh", status, error, 0.5, release, seen, f"{at}")


def test_lost_is_not_refused() -> None:
    """An application that says what it cannot do has answered; nobody's 502 and silence have not."""
    seen = Seen(
        (
            answer(1),
            answer(2, 0, "refused", ""),
            answer(3, 502, release=""),
            answer(4, 503, method="POST"),
            answer(5, release="r2"),
        )
    )
    assert [r.sent_at for r in seen.lost] == [2, 3] and [r.sent_at for r in seen.refused] == [4]
    assert seen.seconds() == 2.5  # from 2 to the end of the last
    assert seen.releases(since=4.5) == {"r2": 1}
    assert str(seen) == "2 lost and 1 refused of 5 in 2.5 s (1 x GET refused, 1 x GET 502, 1 x POST 503)"
    assert Seen((answer(1),)).seconds() == 0


def test_done_twice() -> None:
    assert [r.sent_at for r in Seen((answer(1), answer(2, seen=2))).repeated] == [2]
