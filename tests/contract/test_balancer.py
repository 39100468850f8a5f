"""The balancer contract: the fake, and HAProxy as the edge finds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import cast

import pytest
from edge import Lab, needed, running

from adaf_pipeline.roles import Balancer
from adaf_pipeline.testing.balancer import BalancerContract, FakeBalancer


class TestFake(BalancerContract):
    @pytest.fixture
    def balancer(self) -> Balancer:
        return FakeBalancer()

    def restart(self, balancer: Balancer) -> None:
        cast(FakeBalancer, balancer).restart()


@pytest.fixture(scope="module")
def edge() -> Iterator[Lab]:
    yield from running()


@needed
class TestHAProxy(BalancerContract):
    @pytest.fixture
    def balancer(self, edge: Lab) -> Balancer:
        """Its share is taken off and it is started again: as after its very first start, without a new edge a test."""
        edge.balancer.set_share({})
        edge.crash("balancer.1")
        return edge.balancer

    def send(self, balancer: Balancer, visitors: Sequence[str]) -> list[str]:
        found: list[str] = []
        with cast(Lab, balancer.stack).connect("balancer.1", unix=True) as link:
            for first in range(0, len(visitors), 50):
                some = visitors[first : first + 50]
                link.sendall(
                    b"".join(
                        b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1\r\nCookie: adaf_visitor=%s\r\n\r\n"
                        % v.encode()
                        for v in some
                    )
                )
                data = b""
                while len(re.findall(rb"hello|</html>", data)) < len(some):
                    data += link.recv(1 << 20)
                found += [name.decode() for name in re.findall(rb"x-release-id: r-(\w+)|503 Service", data)]
        return found

    def restart(self, balancer: Balancer) -> None:
        cast(Lab, balancer.stack).crash("balancer.1")
