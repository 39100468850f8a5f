"""`inv prune` on a real stack: a killed build, an old release, and a look at what serves afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Pipeline, until

from adaf_pipeline.testing.load import Load


@pytest.fixture
def pruned(place: Path) -> Iterator[Pipeline]:
    """A stack of its own, where every account may enter."""
    (place / "pruned").mkdir()
    made = Pipeline(place / "pruned")
    try:
        yield made
    finally:
        made.configure()
        made.run("down", "--purge", "--json")


def test_prune_takes_what_is_spare_and_visitors_notice_nothing(pruned: Pipeline) -> None:
    checkout = pruned
    text = (checkout.folder / "adaf.yaml").read_text()
    checkout.remember(checkout.good()["url"])
    state = checkout.state()
    releases = [checkout.good()["release"] for _ in range(3)]
    (checkout.folder / "adaf.yaml").write_text(text.replace("deploy:\n", "deploy:\n  keep: 2\n"))
    assert checkout.ok("prune")["removed"] != []  # four releases, two of them needed

    checkout.change()
    child = checkout.start("build")
    until(lambda: (state / "builds/web/output").exists() or child.poll() is not None, 20, "a build")
    child.kill()
    child.communicate()
    killed = (state / "builds/web/output").exists()  # it may have been quicker than we were
    journal = state / "runs" / "20200101T000000Z-up-00aa.jsonl"
    journal.write_text("{}\n")
    os.utime(journal, (time.time() - 1e7,) * 2)
    (state / "runs" / "20200101T000000Z-up-00aa.control").write_text("")
    (state / "mine").mkdir()

    before = sorted(path.name for path in (state / "runs").iterdir())
    plan = checkout.ok("prune", "--plan")
    paths = {item["path"] for item in plan["facts"]["items"]}
    assert sorted(path.name for path in (state / "runs").iterdir()) == before
    assert "runs/20200101T000000Z-up-00aa.control" in paths and ("builds/web/output" in paths) == killed
    assert plan["facts"]["strange"] == ["mine"]

    load = Load(checkout.url, connections=4, methods=("GET", "POST"), rate=100, seconds=60).start()
    went = checkout.ok("prune")
    back = checkout.ok("rollback")
    report = load.stop()
    assert {item["path"] for item in went["removed"]} == paths and went["freed"] > 0
    assert not report.lost and set(report.statuses) == {"200"}
    assert (back["replaced"], back["release"]) == (releases[2], releases[1])
    assert checkout.status()["ok"] and (state / "mine").is_dir()
    assert checkout.ok("prune")["removed"] == []
    assert "nothing to prune; not ours, left alone: mine" in checkout.run("prune").stdout


def test_on_a_named_stack_prune_asks_for_its_name(checkout: Pipeline) -> None:
    checkout.configure("\nname: diskless\n")
    done = checkout.run("prune", "--json")
    assert (done.code, done.document["hint"]) == (6, "look at `inv prune --plan`, then inv prune --yes diskless")
    assert checkout.run("prune", "--plan", "--json").code == 0
    assert checkout.run("prune", "--yes=diskless", "--json").code == 0
    assert checkout.run("down", "--purge", "--yes=diskless", "--json").code == 0
