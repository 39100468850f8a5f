"""What `nox -s fresh` carries from this machine into a bare root, and what it takes the README's commands to be."""

from __future__ import annotations

import shlex

import pytest
from fresh import machine, proof
from fresh.__main__ import Table, commands, parse

TARGETS = """\
Packages|http://mirror.test/debian/|bookworm|main
Translations|http://mirror.test/debian/|bookworm|main
Packages|http://mirror.test/debian/|bookworm|contrib
Packages|http://mirror.test/debian/|bookworm-updates|main
Packages|http://mirror.test/security/|bookworm-security|main
Packages|http://other.test/apt/|stable|main
Packages|http://other.test/node/|nodistro|main
"""


def test_the_archives_of_this_machine_serve_the_other_suite_too() -> None:
    found = [(source.uri, source.suite, source.components) for source in machine.sources(TARGETS, "bookworm", "trixie")]
    assert found == [
        ("http://mirror.test/debian/", "trixie", ("main", "contrib")),
        ("http://mirror.test/debian/", "trixie-updates", ("main",)),
        ("http://mirror.test/security/", "trixie-security", ("main",)),
    ]


@pytest.mark.parametrize(
    "name",
    ["https_proxy", "NO_PROXY", "PIP_INDEX_URL", "npm_config_registry", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"],
)
def test_what_says_how_a_registry_is_reached_is_carried(name: str) -> None:
    assert machine.environment({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("name", ["HOME", "LANG", "ADAF_TOOLS", "VIRTUAL_ENV", "PYTHONPATH", "PIPELINE", "TOX_TESTENV"])
def test_nothing_else_of_this_machine_is_carried(name: str) -> None:
    assert machine.environment({name: "x"}) == {}


@pytest.mark.parametrize(
    ("line", "reaches"),
    [
        ('Acquire::Check-Valid-Until "false";', True),
        ('Acquire::http::Proxy "http://proxy.test:3128";', True),
        ('Acquire::https::CAInfo "/etc/ssl/own.pem";', True),
        ('Acquire::IndexTargets::deb::Packages::Optional "0";', False),
        ('APT::Install-Recommends "1";', False),
    ],
)
def test_apts_own_defaults_stay_the_roots_matter(line: str, reaches: bool) -> None:
    assert bool(machine.REACHING.match(line)) == reaches


def test_the_commands_are_the_readmes() -> None:
    assert [shlex.join(words) for words in commands()] == ["./ci/env inv deploy --canary", "./ci/env nox -s ci"]


def test_what_ci_env_asks_a_user_for_is_found() -> None:
    said = "error: packages are missing or half installed: s6\nhint: run as root: '/home/p/adaf pipeline/ci/env' --packages\n"
    asked = proof.ASKED.search(said)
    assert asked is not None and asked.group(1) == "'/home/p/adaf pipeline/ci/env' --packages"
    assert proof.PHASE.findall("env: python packages: 12 s\nenv: installing: s6\n") == [("python packages", "12")]


def test_one_phase_that_fails_fails_the_session(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    with table.phase("trixie", "root", "good"):
        pass
    assert not table.failed
    with pytest.raises(ValueError), table.phase("trixie", "root", "bad"):
        raise ValueError
    assert table.failed
    table.show()
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[-2:]] == ["ok", "failed"]


def test_without_an_argument_all_of_it_is_proved() -> None:
    args = parse([])
    assert (args.suite, args.who, args.only) == (["trixie", "bookworm"], ["root", "user"], ["first", "edge", "second"])
    assert parse(["--suite", "trixie", "--as", "user"]).who == ["user"]
