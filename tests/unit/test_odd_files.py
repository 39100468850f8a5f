"""Files that are no configuration, as adaf.yaml and as an overlay: two lines, at once, whatever they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tried import CASES

from adaf_pipeline import config
from adaf_pipeline.errors import ConfigError

GOOD = "apps: {web: nextjs}\n"
Make = Callable[[Path], object]


def load(file: Path, where: str) -> config.Config:
    CASES["configurations"] += 1
    if where == "overlay":
        (file.parent / "adaf.yaml").write_text(GOOD)
        return config.load(file.parent / "adaf.yaml", "prod")
    return config.load(file)


@pytest.fixture(params=["file", "overlay"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path, where: str) -> Path:
    return tmp_path / ("adaf.yaml" if where == "file" else "adaf.prod.yaml")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p.mkdir(), "cannot be read: Is a directory"),
        (os.mkfifo, "cannot be read: not a file"),
        (lambda p: p.symlink_to("/dev/null"), "cannot be read: not a file"),
        (lambda p: p.symlink_to("/dev/zero"), "cannot be read: not a file"),
        (lambda p: p.symlink_to(p.with_name("nothing")), "not found, it is a link to "),
        (lambda p: p.symlink_to(p), "cannot be read: Too many levels"),
        (lambda p: p.symlink_to("/proc/self/mem"), "cannot be read"),
        (lambda p: p.write_bytes(b"#" * 10_000_000), "more than a megabyte"),
        (lambda p: p.write_text("a: [" * 300_000), "more than a megabyte"),
        (lambda p: p.write_text("a: " + "[" * 60), "nested more than 50 deep"),
        (lambda p: p.write_text("\n".join(" " * n + "a:" for n in range(60))), "nested more than 50 deep"),
        (lambda p: p.write_bytes(b"\xff\xfe" + "a: 1".encode("utf-16-le")), "not UTF-8"),
        (lambda p: p.write_bytes(b"a: \xe9\n"), "not UTF-8"),
        (lambda p: p.write_bytes(b"\x7fELF\x02\x01\x01\x00"), "not YAML"),
        (lambda p: p.write_bytes(b"\x00" * 100), "not YAML"),
        (lambda p: p.write_text('name: "a\\0b"\n'), "name: a NUL character"),
        (lambda p: p.write_text('"a\\0b": 1\n'), "the key 'a\\x00b' is no name"),
        (lambda p: p.write_text('"": 1\n'), "the key '' is no name"),
        (lambda p: p.write_text("deploy: {bake: 2001-01-01}\n"), "deploy/bake: expected"),
        (lambda p: p.write_text("deploy: {bake: !!binary aGk=}\n"), "deploy/bake: a binary is not read"),
        (lambda p: p.write_text("deploy: !!set {x}\n"), "deploy: a set is not read"),
        (lambda p: p.write_text("deploy: !!python/object/apply:os.system [id]\n"), "is not read"),
        (lambda p: p.write_text("deploy: !mine x\n"), "deploy: a !mine is not read"),
        (lambda p: p.write_text("<<: {a: 1}\n"), "the key << is not text"),
        (lambda p: p.write_text("\tdeploy: 1\n"), "not YAML"),
        (lambda p: p.write_text("just words\n"), "the file: expected"),
    ],
    ids=range(26),
)
def test_what_is_no_configuration(file: Path, where: str, make: Make, says: str) -> None:
    make(file)
    with pytest.raises(ConfigError) as caught:
        load(file, where)
    assert says in caught.value.message
    assert file.name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("body", ["", "# only\n# comments\n", "---\n", "\n\n\n", "\ufeff"])
def test_an_empty_one_says_nothing(file: Path, where: str, body: str) -> None:
    file.write_text(body)
    if where == "overlay":
        assert load(file, where).name == "prod"
        return
    with pytest.raises(ConfigError, match=r"adaf\.yaml: the file: object missing required field"):
        load(file, where)


def test_byte_order_marks_and_line_ends_of_other_systems(file: Path, where: str) -> None:
    for body in (f"\ufeff{GOOD}deploy: {{bake: 3}}\n", f"{GOOD}deploy:\n  bake: 3\n".replace("\n", "\r\n")):
        file.write_bytes(body.encode())
        assert load(file, where).deploy.bake == 3


def test_a_long_way_up_and_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADAF_CONFIG", raising=False)
    (tmp_path / "adaf.yaml").symlink_to("nothing")
    inner = tmp_path / "a"
    inner.mkdir()
    assert config.find(inner) == tmp_path / "adaf.yaml"  # the link is the mistake, not that there is no file
    monkeypatch.chdir(inner)
    inner.rmdir()
    with pytest.raises(ConfigError, match="the current folder is gone") as caught:
        config.find()
    assert caught.value.hint
    monkeypatch.setenv("ADAF_CONFIG", str(tmp_path / "other.yaml"))
    assert config.find() == tmp_path / "other.yaml"
    for wrong in ("a" * 5000, "\udcff", "/dev", ".", "/"):
        monkeypatch.setenv("ADAF_CONFIG", wrong)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError):
            config.load(config.find())
