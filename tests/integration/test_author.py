"""A plugin author's repository, as docs/plugins.md has it: its own wheel in its own environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from authoring import BLOCKS, LOOSE, ROOT, write
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from adaf_pipeline.testing import fakes
from adaf_pipeline.testing.driving import Pipeline

LOCK = ROOT / "ci" / "requirements.txt"


def locked(*wanted: str) -> str:
    """The lock's entries, hashes included, of these packages and all that they need."""
    entries = {
        canonicalize_name(entry[1]): entry[0]
        for entry in re.finditer(r"^([\w.-]+)==.*(?:\n[ ].*)*", LOCK.read_text(), re.MULTILINE)
    }
    found: dict[str, str] = {}
    todo = [Requirement(name) for name in wanted]
    while todo:
        one = todo.pop()
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not one.marker.evaluate()):
            continue
        found[name] = entries[name]
        for need in map(Requirement, requires(name) or ()):
            if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                todo.append(Requirement(str(need).partition(";")[0]))
    return "\n".join(found.values())


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(words, cwd=cwd, env={**kept, **env}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The author's checkout; ``venv`` in it has both wheels, and no source of ours."""
    folder = tmp_path_factory.mktemp("author") / "adaf-table"
    folder.mkdir()
    write(folder, *(name for name in BLOCKS if not name.startswith(LOOSE)))
    ours = folder.parent / "pipeline"  # a build leaves things behind, and not in our checkout
    ours.mkdir()
    for name in ("src", "plugins"):
        shutil.copytree(ROOT / name, ours / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, ours)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    for source in (ours, folder):
        run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", str(source), cwd=folder)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = (*project["dependencies"], *project["optional-dependencies"]["testing"])
    (folder / "requirements.txt").write_text(locked(*needed))
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    inside = (str(folder / "venv/bin/python"), *pip[1:])
    run(*inside, "install", "--no-deps", "--require-hashes", "-r", "requirements.txt", cwd=folder)
    wheels = [str(wheel) for wheel in sorted((folder / "dist").glob("*.whl"))]
    run(*inside, "install", "--no-deps", "--no-index", *wheels, cwd=folder)
    run(*inside, "check", cwd=folder)
    shutil.rmtree(folder / "adaf_table")  # what is tested is the wheel
    return folder


def test_its_contract_and_its_deploys_pass_in_its_own_environment(repository: Path) -> None:
    done = run("venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=repository)
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 12, done.stdout
    assert "skipped" not in done.stdout


def test_a_wrong_backend_fails_the_contract_and_the_test_shows_the_values(repository: Path) -> None:
    place = next(repository.glob("venv/lib/python*/site-packages/adaf_table/balancer.py"))
    right = place.read_text()
    place.write_text(right.replace('share["green"] * 100', 'share["green"] * 90'))
    try:
        done = subprocess.run(
            ["venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
            cwd=repository, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    finally:
        place.write_text(right)
    assert done.returncode == 1
    assert "test_shares_are_exact_sticky_and_monotone" in done.stdout
    assert re.search(r"assert \d+(\.\d+)? <= 1\n", done.stdout), done.stdout  # rewritten, though it is not a test file


def test_it_is_listed_as_what_its_distribution_provides(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    sections = {**Pipeline.FAKES, "balancer": "table"}
    (tmp_path / "adaf.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
    adaf = str(repository / "venv/bin/adaf")
    (row,) = [
        row
        for row in json.loads(run(adaf, "plugins", "--json", cwd=tmp_path).stdout)["backends"]
        if row["name"] == "table"
    ]
    assert row == {
        "role": "balancer",
        "name": "table",
        "plugin": "table",
        "from": "adaf-table 0.1.0",
        "summary": "a hash and a file",
        "target": "adaf_table.balancer:Table",
        "active": True,
    }
    lines = run(adaf, "plugins", cwd=tmp_path).stdout.splitlines()
    assert any(
        re.match(r"\* balancer +table +table +a hash and a file \(adaf-table 0\.1\.0\)$", line) for line in lines
    )
    found = run(adaf, "deploy", "--plan", "--json", cwd=tmp_path, ADAF_PLUGINS=fake_file(repository)).stdout
    assert json.loads(found)["facts"]["share"] == {}


def fake_file(repository: Path) -> str:
    """The fakes of the installed wheel."""
    (found,) = repository.glob(f"venv/lib/python*/site-packages/adaf_pipeline/testing/{Path(str(fakes.__file__)).name}")
    return str(found)
