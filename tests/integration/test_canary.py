"""Deploys on the real local stack: what goes live, what is rolled back, and what visitors saw meanwhile."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections import Counter
from typing import Any

import pytest
from driving import Pipeline, free_port, until

from adaf_pipeline.testing.load import Load

SWITCHES = 20
REQUESTS = 100_000


def test_a_change_goes_live_through_a_canary_and_says_what_it_measured(pipeline: Pipeline) -> None:
    before, colour = pipeline.live()
    document = pipeline.good()
    assert document["release"] != before
    assert document["weights"] == {"blue": 0.0, "green": 0.0} | {("green" if colour == "blue" else "blue"): 100.0}
    assert [(v["step"], v["outcome"]) for v in document["verdict"]] == [("canary-25", "pass"), ("bake", "pass")]
    receipt = document["receipt"]
    assert receipt["sent"] > 300 and receipt["lost"] == 0 and receipt["duplicated"] == 0
    assert set(receipt["releases"]) == {before, document["release"]}
    assert pipeline.get() == (200, document["release"])
    story = pipeline.ok("releases", f"--show={document['release'][:6]}")["story"]
    assert story[-1]["outcome"] == "live" and story[-1]["level"] == "0001_init.sql"


def test_the_same_release_again_does_nothing(pipeline: Pipeline) -> None:
    release, colour = pipeline.live()
    document = pipeline.ok("deploy", "--canary")
    assert f"release {release} is live already" in document["nothing"]
    assert pipeline.live() == (release, colour)
    assert pipeline.ok("build")["built"] is False


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "never ready": ({"never_ready": True}, 4, "is not ready: waited for GET /api/health/ready"),
    "answers 500": ({"fail": 0.5}, 4, "failed"),
    "closes connections": ({"drop": 0.5}, 4, "failed|502"),
    "crashes under load": ({"crash_after": 40}, 4, "failed|502"),
    "hangs": ({"hang": "traffic"}, 4, "failed|timeout"),
    "hangs from the start": ({"hang": True}, 4, "no answer within"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_release_is_rolled_back_and_the_old_one_serves(pipeline: Pipeline, kind: str) -> None:
    behaviour, code, message = BAD[kind]
    release, colour = pipeline.live()
    load = Load(
        pipeline.url, connections=4, mode="mixed", methods=("GET", "POST"), rate=40, seconds=60, timeout=8
    ).start()
    done = pipeline.deploy(**behaviour)
    report = load.stop()
    assert done.code == code, done.stdout + done.stderr
    lost = (done.document["receipt"] or {}).get("reasons", {})
    assert re.search(message, f"{done.document['error']} {' '.join(lost)}"), done.document["error"]
    assert done.document["hint"]
    assert pipeline.live() == (release, colour)
    assert pipeline.get() == (200, release)
    seen = pipeline.status()
    assert seen["ok"], seen["bad"]
    assert {s["name"] for s in seen["services"] if s["role"] == "app"} == {f"web.{colour}.1"}
    if kind in {"never ready", "hangs from the start"}:  # it never got a visitor
        assert not report.lost and set(report.statuses) == {"200"}


def test_a_crash_loop_before_readiness_shows_exit_code_and_log(pipeline: Pipeline) -> None:
    pipeline.change()
    app = pipeline.folder / "app" / "app.py"
    body = app.read_text()
    try:
        app.write_text(body.replace("if __name__ ==", "raise SystemExit('no licence')\nif __name__ =="))
        done = pipeline.run("deploy")
    finally:
        app.write_text(body)
    assert done.code == 4
    assert "it ends again and again (exit code 1)" in done.stderr
    assert "no licence" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("hint: inv logs --service web.")


def test_an_application_on_a_port_of_its_own_choice_is_told_which(pipeline: Pipeline) -> None:
    pipeline.change()
    app, port = pipeline.folder / "app" / "app.py", free_port()
    body = app.read_text()
    try:
        app.write_text(body.replace('int(os.environ["PORT"])', str(port)))
        done = pipeline.run("deploy", "--json")
    finally:
        app.write_text(body)
    assert done.code == 4
    assert done.document["error"].endswith(f"connection refused; it listens on port {port} instead")


def test_answers_that_do_not_name_their_release_are_told(pipeline: Pipeline) -> None:
    before, _ = pipeline.live()
    pipeline.change()
    app = pipeline.folder / "app" / "app.py"
    body = app.read_text()
    try:
        app.write_text(body.replace("x-release-id: {RELEASE}", "x-other: 1"))
        done = pipeline.run("deploy")
    finally:
        app.write_text(body)
    assert done.code == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if "no answer has the header x-release-id" in line]
    assert len(told) == 1 and "requests, first" in told[0], "of the deploy, the old release's answers have it"
    pipeline.ok("rollback")
    assert pipeline.live()[0] == before


def test_a_type_error_stops_before_anything_is_built(pipeline: Pipeline) -> None:
    pipeline.change()
    extra = pipeline.folder / "app" / "extra.py"
    pipeline.configure(file="typed.yaml")
    text = (pipeline.folder / "typed.yaml").read_text().replace("path: app,", "path: app, typecheck: true,")
    (pipeline.folder / "typed.yaml").write_text(text)
    before = pipeline.live()
    try:
        extra.write_text("count: int = 'three'\n")
        done = pipeline.run("deploy", "--canary", "--json", ADAF_CONFIG=str(pipeline.folder / "typed.yaml"))
    finally:
        extra.unlink()
    assert done.code == 1
    assert done.document["error"] == "1 type error in web"
    assert done.document["detail"][0] == "extra.py"
    assert pipeline.live() == before


def test_a_failed_migration_stops_the_deploy_and_leaves_the_schema(pipeline: Pipeline) -> None:
    before = pipeline.live()
    pipeline.change()
    bad = pipeline.folder / "app" / "migrations" / "0002_bad.sql"
    try:
        bad.write_text("create table half (id int);\nselect * from nowhere;\n")
        done = pipeline.run("deploy", "--canary", "--json")
    finally:
        bad.unlink()
    assert done.code == 1
    assert "0002_bad.sql" in done.document["error"] and "nowhere" in done.document["error"]
    assert pipeline.live() == before
    rows = pipeline.ok("psql", "--command=select count(*) from pg_tables where tablename = 'half'")["rows"]
    assert rows == [[0]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_a_canary_undoes_it(pipeline: Pipeline, number: signal.Signals) -> None:
    release, colour = pipeline.live()
    pipeline.change()
    child = pipeline.start("deploy", "--canary", "--json")
    pipeline.reach(child, "canary-25")
    child.send_signal(number)
    done = pipeline.finish(child)
    assert done.code == 130, done.stderr
    assert done.document["error"] == f"interrupted by {number.name}"
    assert "all visitors back to" in done.stderr
    assert pipeline.live() == (release, colour)
    assert pipeline.status()["weights"][colour] == 100


def test_two_deploys_at_once_and_promote_and_a_rollback_that_pre_empts(pipeline: Pipeline) -> None:
    release, colour = pipeline.live()
    pipeline.configure("\n")
    text = (pipeline.folder / "adaf.yaml").read_text().replace("window: 1.5", "window: 30")
    try:
        (pipeline.folder / "adaf.yaml").write_text(text)
        pipeline.change()
        child = pipeline.start("deploy", "--canary", "--json")
        pipeline.reach(child, "canary-25")
        second = pipeline.run("deploy", "--canary", "--json")
        assert second.code == 5
        assert "the stack is held by `deploy`" in second.document["error"]
        rolled = pipeline.run("rollback", "--json")
        assert rolled.code == 0, rolled.stderr
        assert rolled.document["release"] == release
        first = pipeline.finish(child)
        assert first.code == 4 and "asked for a rollback" in first.document["error"]
        assert pipeline.live() == (release, colour)

        child = pipeline.start("deploy", "--canary", "--json")
        pipeline.reach(child, "canary-25")
        promoted = pipeline.finish(pipeline.start("promote", "--json"))
        done = pipeline.finish(child)
    finally:
        pipeline.configure()
    assert promoted.code == 0 and done.code == 0, promoted.stderr + done.stderr
    assert promoted.document["release"] == done.document["release"] != release
    assert "  bake: " in promoted.stderr and "  undo canary-25: " in rolled.stderr, "who waits is told for what"
    assert done.document["verdict"][0]["outcome"] == "promoted"


def test_a_held_deploy_is_promoted_step_by_step_from_a_second_terminal(pipeline: Pipeline) -> None:
    release, _colour = pipeline.live()
    pipeline.change()
    child = pipeline.start("deploy", "--canary=20,40", "--hold", "--json")
    pipeline.reach(child, "canary-20")
    first = pipeline.ok("promote")
    assert (first["step"], first["release"]) == ("canary-40", release)
    running = pipeline.status()["running"]
    assert (running["task"], running["step"], running["hold"]) == ("deploy", "canary-40", True)
    assert "held there, and watched: inv promote" in pipeline.run("status").stdout
    second = pipeline.ok("promote")
    done = pipeline.finish(child)
    assert done.code == 0, done.stderr
    assert [v["outcome"] for v in done.document["verdict"]][:2] == ["promoted", "promoted"]
    assert second["step"] == "" and second["release"] == done.document["release"] != release


def test_promote_without_a_deploy_and_an_unknown_release_are_preconditions(pipeline: Pipeline) -> None:
    done = pipeline.run("promote", "--json")
    assert (done.code, done.document["error"]) == (6, "no deploy is running")
    done = pipeline.run("deploy", "--release=zzzz", "--json")
    assert (done.code, done.document["error"]) == (6, "no release zzzz")
    done = pipeline.run("deploy", "--canary=50,5", "--json")
    assert done.code == 2 and "not rising percentages" in done.document["error"]


def test_twenty_switches_under_load_lose_and_double_nothing(pipeline: Pipeline) -> None:
    """A client that never retries, GET and POST, kept-alive and new connections; the ledger has every POST once."""
    pipeline.ledger.write_text("")
    pipeline.good()  # both colours are warm and good now
    load = Load(
        pipeline.url, connections=12, mode="mixed", methods=("GET", "POST"), requests=1_000_000, seconds=300, timeout=10
    )
    switched = 0
    colours = Counter[str]()
    with load.spawn() as running:
        back: tuple[str, ...] = ()
        for _ in range(SWITCHES):
            document = pipeline.ok("rollback", *back)
            back = () if back else (f"--to={document['replaced']}",)
            colours[document["release"]] += 1
            assert document["receipt"]["lost"] == 0
            switched += 1
        until(lambda: len(pipeline.ledger.read_bytes()) // 33 > REQUESTS // 2, 120, f"{REQUESTS} requests")
        report = running.stop()
    assert switched == SWITCHES and len(colours) == 2
    assert report.sent >= REQUESTS
    assert report.lost == [], report.lost[:3]
    assert set(report.statuses) == {"200"}
    assert report.repeated == []
    ledger = Counter(pipeline.ledger.read_text().split())
    assert [key for key, count in ledger.items() if count > 1] == []
    assert report.confirmed <= set(ledger)
    print(json.dumps({"switches": switched, "sent": report.sent, "rate": round(report.rate), "lost": len(report.lost)}))


def test_a_release_that_is_gone_cannot_be_rolled_back_to(pipeline: Pipeline) -> None:
    release, _colour = pipeline.live()
    names = [row["release"] for row in pipeline.ok("releases")["releases"] if not row["place"]]
    shutil.rmtree(pipeline.state() / "releases" / names[0])
    done = pipeline.run("rollback", f"--to={names[0]}", "--json")
    assert done.code == 6 and names[0] in done.document["error"]
    assert pipeline.live()[0] == release
