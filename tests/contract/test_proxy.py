"""The proxy contract: the fake, and nginx before HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import edge
import pytest

from adaf_pipeline.roles import Proxy
from adaf_pipeline.testing.proxy import Answer, FakeProxy, ProxyContract
from adaf_pipeline.testing.stack import fake_stack


class TestFake(ProxyContract):
    @pytest.fixture
    def proxy(self, tmp_path: Path) -> Proxy:
        return fake_stack(tmp_path).proxy

    def ask(self, proxy: Proxy, visitor: str, request: str = "") -> Answer:
        return cast(FakeProxy, proxy).ask(visitor, request)


@pytest.fixture(scope="module")
def lab() -> Iterator[edge.Lab]:
    yield from edge.running()


@edge.needed
class TestNginx(ProxyContract):
    @pytest.fixture
    def proxy(self, lab: edge.Lab) -> Proxy:
        lab.balancer.set_share({})
        return lab.proxy

    def ask(self, proxy: Proxy, visitor: str, request: str = "") -> Answer:
        headers = {"Cookie": f"adaf_visitor={visitor}", **({"X-Request-Id": request} if request else {})}
        answer = edge.ask(cast(edge.Lab, proxy.stack), headers=headers)
        return Answer(answer.status, answer.header("x-release-id").removeprefix("r-"), answer.header("x-request-id"))
