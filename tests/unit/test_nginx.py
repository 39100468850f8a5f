"""nginx's plugin without nginx: what it renders."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

import adaf_nginx
from adaf_nginx.backend import Nginx
from adaf_nginx.settings import Limits
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.service import Probe, Ref, Service, Text

HTTP, AGAIN = (Ref("instance", "other.7", name, "path") for name in ("http", "again"))


def proxy(endpoints: dict[str, Ref], **settings: Any) -> Nginx:
    runtime = SimpleNamespace(resolve=lambda ref: {"proxy.1": "localhost:1234"}[ref.owner])
    app = SimpleNamespace(ready=Probe("http", http="/ready"), labels={"live": "/live"})
    stack = SimpleNamespace(
        runtime=runtime,
        balancer=SimpleNamespace(endpoints=endpoints),
        apps={"web": SimpleNamespace(service=lambda *_: app)},
    )
    return Nginx(Nginx.Settings(**settings), cast(Any, stack))


def described(endpoints: dict[str, Ref], **settings: Any) -> tuple[Service, str]:
    (service,) = proxy(endpoints, **settings).services()
    body = next(file.body for file in service.files if file.name == "nginx.conf")
    return service, rendered(body)


def rendered(text: Text) -> str:
    return "".join(
        part if isinstance(part, str) else f"<{part.kind} {part.owner} {part.name} {part.part}>" for part in text
    )


def test_the_plugin_offers_what_it_has() -> None:
    (offer,) = adaf_nginx.adaf_backends()
    module, _, name = offer.target.partition(":")
    assert (offer.role, offer.name) == ("proxy", "nginx")
    assert getattr(importlib.import_module(module), name) is Nginx


@pytest.mark.parametrize("wrong", [{"port": 70000}, {"workers": 0}, {"body_mb": 0}, {"tls": True}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Nginx.Settings)


def test_visitors_go_to_whatever_the_balancer_offers() -> None:
    service, body = described({"http": HTTP, "again": AGAIN})
    assert 'server "unix:<instance other.7 http path>" max_fails=0;' in body
    assert 'server "unix:<instance other.7 again path>" max_fails=0 backup;' in body
    assert "proxy_next_upstream error;" in body
    assert service.start_after == ("other.7",)


def test_a_balancer_with_one_entrance_is_never_asked_twice() -> None:
    _, body = described({"http": Ref("instance", "other.7", "http")})
    assert 'server "<instance other.7 http >" max_fails=0;' in body
    assert "backup" not in body
    assert "proxy_next_upstream off;" in body


def test_no_connection_to_the_balancer_is_kept() -> None:
    _, body = described({"http": HTTP, "again": AGAIN})
    upstream = re.search(r"upstream balancer \{(.*?)\}", body, re.DOTALL)
    assert upstream
    assert "keepalive" not in upstream[1]
    assert '"" close;' in body


def test_settings_reach_the_configuration() -> None:
    service, body = described(
        {"http": HTTP}, port=8080, workers=3, connections=512, body_mb=7, read_timeout=99, drain=5
    )
    for said in (
        "worker_processes 3;",
        "worker_connections 512;",
        "client_max_body_size 7m;",
        "proxy_read_timeout 99s;",
        "worker_shutdown_timeout 5s;",
        "listen <instance proxy.1 http >",
        "server_tokens off;",
    ):
        assert said in body
    assert "{{" not in body
    (port,) = service.ports
    assert (port.name, port.number, port.public) == ("http", 8080, True)
    assert (service.stop_signal, service.stop_grace) == ("QUIT", 7)
    assert service.limits.files > 512


def test_the_service_names_no_place() -> None:
    service, body = described({"http": HTTP, "again": AGAIN})
    said = body + "".join(rendered(word) for word in service.argv)
    assert re.findall(r"(?<![<\w])/(?!dev/stdout|_adaf/proxy)[a-z]\w*/", re.sub(r"</?\w+>|map [^}]*}", "", said)) == []
    places = {volume.name for volume in service.volumes} | {file.name for file in service.files}
    for ref in (part for text in (*service.argv, service.files[1].body) for part in text if isinstance(part, Ref)):
        assert ref.kind != "path" or (ref.owner == service.id and ref.name in places)


def test_the_url_is_the_address_visitors_reach() -> None:
    assert proxy({"http": HTTP}).url() == "http://localhost:1234"


def test_probes_have_the_hash_of_the_secret_and_before_there_is_one_nothing() -> None:
    nginx = proxy({"http": HTTP})
    cast(Any, nginx.stack).secrets = SimpleNamespace(names=dict, value=lambda _: "x")
    assert nginx.pass_for_probes() == {}
    cast(Any, nginx.stack).secrets.names = lambda: {"edge-probe": 1}
    assert nginx.pass_for_probes() == {"X-Adaf-Probe": hashlib.sha256(b"x").hexdigest()}


def test_maintenance_is_a_file_of_the_control_volume(tmp_path: Path) -> None:
    nginx = proxy({"http": HTTP})
    cast(Any, nginx.stack).runtime = SimpleNamespace(resolve=lambda ref: str(tmp_path / ref.name / ref.part))
    with pytest.raises(PreconditionError, match="never started here"):
        nginx.set_maintenance(True)
    (tmp_path / "control").mkdir()
    for on in (True, True, False, False):
        nginx.set_maintenance(on)
        assert nginx.maintenance() is on


def test_headers_can_be_said_otherwise_and_left_out() -> None:
    _, body = described({"http": HTTP}, headers={"x-frame-options": "SAMEORIGIN", "Referrer-Policy": "", "X-Own": "1"})
    assert '"" "SAMEORIGIN";' in body and "DENY" not in body
    assert "Referrer-Policy" not in body
    assert "add_header X-Own $edge_h_x_own always;" in body


@pytest.mark.parametrize("wrong", [{"trusted": ("10.0.0.5/8",)}, {"trusted": ("x",)}])
def test_a_trusted_network_that_is_none_is_refused(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="is no address or network"):
        Nginx.Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ['a"b', "a$b", "a\\b", "a\nb", "é"])
def test_a_header_cannot_leave_its_quotes(value: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"headers": {"X-Own": value}}, Nginx.Settings)


def test_without_limits_no_request_is_counted() -> None:
    _, body = described({"http": HTTP}, limits=Limits(mode="none"))
    assert "limit_req" not in body and "limit_conn" not in body
