"""A stand-in for the role Secrets, and what every backend of it has to keep.

class TestMine(SecretsContract):
    @pytest.fixture
    def secrets(self, tmp_path): return Mine(...)
"""

from __future__ import annotations

import re
import secrets as random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adaf_pipeline.errors import AdafError, ConfigError, PreconditionError
from adaf_pipeline.roles import Secrets, StackView


class FakeSecrets(Secrets):
    """Values in memory; a file is written when its path is asked for."""

    def __init__(self, settings: Any, stack: StackView) -> None:
        super().__init__(settings, stack)
        self.values: dict[str, str] = {}

    def ensure(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = [_valid(name) for name in dict.fromkeys(names)]
        made = tuple(name for name in wanted if name not in self.values)
        self.values.update({name: random.token_urlsafe(32) for name in made})
        return made

    def path(self, name: str) -> Path:
        value = self.value(name)
        folder = self.stack.state / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        file.unlink(missing_ok=True)
        file.write_text(value)
        file.chmod(0o400)
        return file

    def value(self, name: str) -> str:
        if _valid(name) not in self.values:
            raise PreconditionError(f"secret {name}: there is none yet", "ensure() makes it")
        return self.values[name]

    def names(self) -> Mapping[str, int]:
        return dict.fromkeys(self.values, 1)


def _valid(name: str) -> str:
    if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 63:
        raise ConfigError(f"secret {name!r}: not a name", "lower-case letters and digits in words joined by -")
    return name


class SecretsContract:
    """Run against every backend of the role. Override ``secrets`` with an empty store."""

    @pytest.fixture
    def secrets(self) -> Secrets:
        raise NotImplementedError

    def test_makes_what_is_missing_and_nothing_else(self, secrets: Secrets) -> None:
        """`ensure`: generates what is missing, returns the names that were made; `value`: the current one stays."""
        assert secrets.ensure(["one", "two-words"]) == ("one", "two-words")
        before = secrets.value("one")
        assert secrets.ensure(["two-words", "three", "one", "three"]) == ("three",)
        assert secrets.value("one") == before

    def test_values_are_long_random_and_plain(self, secrets: Secrets) -> None:
        """`value`: what nobody types, and what every configuration file can hold."""
        names = [f"name-{number}" for number in range(20)]
        secrets.ensure(names)
        values = {secrets.value(name) for name in names}
        assert len(values) == len(names)
        assert all(re.fullmatch("[A-Za-z0-9_-]{32,}", value) for value in values)

    def test_the_file_holds_the_value_and_nothing_else(self, secrets: Secrets) -> None:
        """`path`: a 0400 file with the current value."""
        secrets.ensure(["one"])
        path = secrets.path("one")
        assert path.read_text() == secrets.value("one")
        assert path.stat().st_mode & 0o777 == 0o400
        assert secrets.path("one") == path

    def test_names_carry_versions(self, secrets: Secrets) -> None:
        """`names`: every secret and its current version."""
        assert secrets.names() == {}
        secrets.ensure(["one", "two"])
        assert secrets.names() == {"one": 1, "two": 1}

    def test_a_missing_one_is_a_precondition(self, secrets: Secrets) -> None:
        """`path`, `value`: PreconditionError when there is none."""
        for read in (secrets.value, secrets.path):
            with pytest.raises(PreconditionError, match="absent"):
                read("absent")

    @pytest.mark.parametrize("name", ["", ".", "../up", "a/b", "A", "-a", "a b", "a" * 64, "a\n", ".lock"])
    def test_names_are_names(self, secrets: Secrets, name: str) -> None:
        """Every method: a name that could leave its folder is a ConfigError."""
        for use in (secrets.value, secrets.path, lambda name: secrets.ensure([name])):
            with pytest.raises(ConfigError):
                use(name)

    def test_nothing_it_says_tells_a_value(self, secrets: Secrets) -> None:
        """`value`: for a client library's argument, and nothing else: no error, finding or repr has it."""
        secrets.ensure(["one"])
        said = [repr(secrets), str(secrets), repr(secrets.names()), repr(list(secrets.doctor()))]
        for wrong in ("absent", "../one"):
            with pytest.raises(AdafError) as caught:
                secrets.value(wrong)
            said += [str(caught.value), caught.value.hint, *caught.value.detail]
        assert not [line for line in said if secrets.value("one") in line]
