"""nginx's plugin without nginx: what it renders."""

from __future__ import annotations

import importlib
import re
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

import adaf_nginx
from adaf_nginx.backend import Nginx
from adaf_pipeline.service import Ref, Service, Text

HTTP, AGAIN = (Ref("instance", "other.7", name, "path") for name in ("http", "again"))


def proxy(endpoints: dict[str, Ref], **settings: Any) -> Nginx:
    runtime = SimpleNamespace(resolve=lambda ref: {"proxy.1": "localhost:1234"}[ref.owner])
    stack = SimpleNamespace(runtime=runtime, balancer=SimpleNamespace(endpoints=endpoints))
    return Nginx(Nginx.Settings(**settings), cast(Any, stack))


def described(endpoints: dict[str, Ref], **settings: Any) -> tuple[Service, str]:
    (service,) = proxy(endpoints, **settings).services()
    return service, rendered(service.files[0].body)


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
    assert re.findall(r"(?<![<\w])/(?!dev/stdout|_adaf/proxy)[a-z]\w*/", re.sub(r"</?\w+>", "", said)) == []
    places = {volume.name for volume in service.volumes} | {file.name for file in service.files}
    for ref in (part for text in (*service.argv, service.files[0].body) for part in text if isinstance(part, Ref)):
        assert ref.kind != "path" or (ref.owner == service.id and ref.name in places)


def test_the_url_is_the_address_visitors_reach() -> None:
    assert proxy({"http": HTTP}).url() == "http://localhost:1234"
