"""Services as data: texts, templates, digests, and the secrets they name."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from adaf_pipeline.service import (
    Binary,
    File,
    Limits,
    Port,
    Probe,
    Ref,
    SecretUse,
    Service,
    Volume,
    argv,
    secret_names,
    template,
    text,
)

HOST = Ref("instance", "x.1", "http", "host")
FULL = Service(
    "x.1",
    "app",
    argv(Ref("binary", "", "x"), "-p", text("port=", Ref("instance", "x.1", "http", "port"))),
    binaries=(Binary("x", "x", ("1", "2"), ("/opt/x/*/bin",)),),
    environment={"A": text("1"), "B": (HOST,)},
    files=(File("x.conf", text("listen ", HOST, "\n"), volume="data"),),
    volumes=(Volume("data"),),
    ports=(Port("http"),),
    secrets=(SecretUse("x-admin"),),
    start_after=("database",),
    gate=argv("/bin/sh", Ref("path", "x.1", "gate.sh")),
    ready=Probe("http", http="/"),
    limits=Limits(memory_mb=10),
    metrics=("http", "/metrics"),
    labels={"a": "1", "b": "2"},
)


def test_texts_and_command_lines() -> None:
    assert text("a", HOST) == ("a", HOST)
    assert text() == ()
    assert argv("a", HOST, text("b=", HOST)) == (("a",), (HOST,), ("b=", HOST))


def test_a_template_takes_strings_refs_and_texts() -> None:
    body = "listen {{host}}:{{port}} {{host}};\n{{rest}}"
    made = template(body, {"host": HOST, "port": "80", "rest": text("at ", HOST), "unused": "x"})
    assert made == ("listen ", HOST, ":", "80", " ", HOST, ";\n", "at ", HOST)


def test_what_is_empty_leaves_no_part() -> None:
    assert template("{{a}}{{b}}", {"a": "", "b": ()}) == ()
    assert template("", {}) == ()


@pytest.mark.parametrize("body", ["{ a }", "{{ a }}", "{{a-b}}", "{{}}", "%{a}", "@a@", "${a}", "}}{{"])
def test_what_is_no_placeholder_stays(body: str) -> None:
    assert template(body, {"a": "x"}) == (body,)


def test_a_placeholder_without_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="port"):
        template("{{host}} {{port}}", {"host": HOST})


def test_a_value_is_not_a_template() -> None:
    assert template("{{a}}", {"a": "{{b}}", "b": "x"}) == ("{{b}}",)


# ---------------------------------------------------------------------------------------------------- digests


def test_the_digest_does_not_depend_on_the_order_of_a_mapping() -> None:
    same = replace(FULL, labels={"b": "2", "a": "1"}, environment={"B": (HOST,), "A": text("1")})
    assert same.digest() == FULL.digest()
    assert re.fullmatch("[0-9a-f]{16}", FULL.digest())


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x.2"},
        {"argv": argv("x")},
        {"environment": {"A": text("1")}},
        {"files": (File("x.conf", text("listen"), volume="data"),)},
        {"files": (replace(FULL.files[0], mode=0o400),)},
        {"volumes": ()},
        {"ports": (Port("http", number=80),)},
        {"secrets": (SecretUse("x-admin", env="PASSWORD"),)},
        {"ready": Probe("http", http="/ready")},
        {"stop_signal": "INT"},
        {"limits": Limits(memory_mb=20)},
        {"package": "r2"},
        {"labels": {}},
    ],
)
def test_every_change_is_another_digest(change: dict[str, Any]) -> None:
    assert replace(FULL, **change).digest() != FULL.digest()


def test_a_ref_is_not_the_string_that_it_becomes() -> None:
    assert Service("x.1", "app", argv("127.0.0.1")).digest() != Service("x.1", "app", argv(HOST)).digest()


# ---------------------------------------------------------------------------------------------------- secrets


def test_secrets_are_found_wherever_they_are_named() -> None:
    def secret(name: str) -> Ref:
        return Ref("secret", "", name)

    service = Service(
        "x.1",
        "app",
        argv("x", text("--password=", secret("in-argv"))),
        environment={"FILE": (secret("in-environment"),)},
        files=(File("x.conf", text("file ", secret("in-file"))),),
        secrets=(SecretUse("mounted"), SecretUse("exported", env="X")),
        gate=argv(secret("in-gate")),
    )
    twice = Service("y.1", "app", argv(secret("mounted"), Ref("path", "y.1", "data")))
    assert secret_names((twice, service)) == (
        "exported", "in-argv", "in-environment", "in-file", "in-gate", "mounted",
    )  # fmt: skip
    assert secret_names(()) == ()
