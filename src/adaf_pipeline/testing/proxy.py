"""An edge in memory, and the contract that it and the real ones keep."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import cast

import pytest

from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.roles import Balancer, Proxy, RequestLog, Served
from adaf_pipeline.service import Port, Ref, Service, Services, argv
from adaf_pipeline.testing.balancer import InProcess, visit, within


@dataclass(frozen=True)
class Answer:
    """What a visitor got: the colour is "" when none answered, ``request`` the id that the answer named."""

    status: int
    colour: str
    request: str


class FakeProxy(Proxy):
    """Has an address where nobody listens; ``ask`` it here."""

    closed = False

    def services(self) -> Services:
        return (
            Service(
                "proxy.1",
                "proxy",
                argv("proxy"),
                image="nginx",
                ports=(Port("http", public=True),),
                start_after=("balancer",),
            ),
        )

    def url(self) -> str:
        return "http://" + self.stack.runtime.resolve(Ref("instance", "proxy.1", "http"))

    def maintenance(self) -> bool:
        return self.closed

    def set_maintenance(self, on: bool) -> None:
        self.closed = on

    def ask(self, visitor: str, request: str = "") -> Answer:
        """One GET, passed on to a balancer in this process."""
        served = visit(cast(InProcess, self.stack.balancer), visitor, request=request or uuid.uuid4().hex)
        return Answer(served.status, served.colour, served.request)


class ProxyContract:
    """Run against every backend of the role. Override ``proxy`` and ``ask``.

    The promise of the role is one line: the edge is what visitors connect to. What follows from it is what a deploy
    relies on: who asks, and under which id, arrives at the balancer, and what comes back is what was answered.
    """

    @pytest.fixture
    def proxy(self) -> Proxy:
        """A running one, before a running balancer that has never had a share; both colours are well."""
        raise NotImplementedError

    def ask(self, proxy: Proxy, visitor: str, request: str = "") -> Answer:
        """A GET of a visitor (cookie ``adaf_visitor``), with ``request`` as its X-Request-Id unless that is ""."""
        raise NotImplementedError

    @staticmethod
    def balancer(proxy: Proxy) -> Balancer:
        return proxy.stack.balancer

    @staticmethod
    def taken(log: RequestLog, count: int) -> list[Served]:
        """So many lines, or what came within a few seconds."""
        lines: list[Served] = []

        def enough() -> bool:
            lines.extend(log.take())
            return len(lines) >= count

        within(5, enough)
        return lines

    def test_its_url_is_an_address_that_stays(self, proxy: Proxy) -> None:
        """`url`: ``http://host:port`` without a trailing slash, as visitors reach it."""
        assert re.fullmatch(r"https?://[^/\s:]+:\d+", proxy.url())
        assert proxy.url() == proxy.url()

    def test_maintenance_is_switched_or_refused(self, proxy: Proxy) -> None:
        """`set_maintenance` and `maintenance`: visitors get the page, the pipeline's own probes (`pass_for_probes`) pass."""
        assert not proxy.maintenance()
        assert all(name and value for name, value in proxy.pass_for_probes().items())
        try:
            proxy.set_maintenance(True)
        except PreconditionError as exc:
            assert exc.hint
            return
        assert proxy.maintenance()
        proxy.set_maintenance(False)
        assert not proxy.maintenance()

    def test_one_port_is_for_visitors(self, proxy: Proxy) -> None:
        """`services`: the one public door of the stack is the edge's."""
        public = [port for service in proxy.services() for port in service.ports if port.public]
        assert len(public) == 1

    def test_before_the_first_release_a_visitor_gets_an_answer_all_the_same(self, proxy: Proxy) -> None:
        """The edge is there when nothing is live: 503 at once, no hanging and no refused connection."""
        assert self.balancer(proxy).share() == {}
        answer = self.ask(proxy, "early")
        assert (answer.status, answer.colour) == (503, "")

    def test_who_asks_and_under_which_id_arrives_at_the_balancer(self, proxy: Proxy) -> None:
        """A verdict counts visitors: the edge passes their ids on, and the request's, and both come back in the log."""
        balancer = self.balancer(proxy)
        balancer.set_share({"blue": 100.0})
        with balancer.log() as log:
            answer = self.ask(proxy, "somebody", "contract-0001")
            (served,) = self.taken(log, 1)
        assert answer == Answer(200, "blue", "contract-0001")
        assert (served.visitor, served.request, served.colour) == ("somebody", "contract-0001", "blue")
        assert (served.method, served.status, served.failed) == ("GET", 200, False)

    def test_a_request_without_an_id_gets_one_of_its_own(self, proxy: Proxy) -> None:
        """What a visitor reports and what the logs say can be brought together."""
        balancer = self.balancer(proxy)
        balancer.set_share({"blue": 100.0})
        with balancer.log() as log:
            first, second = self.ask(proxy, "somebody"), self.ask(proxy, "somebody")
            lines = self.taken(log, 2)
        assert first.request != second.request
        assert min(len(first.request), len(second.request)) >= 8
        assert {served.request for served in lines} == {first.request, second.request}

    def test_visitors_keep_their_colour_through_it(self, proxy: Proxy) -> None:
        """The balancer decides who gets which colour, and the edge neither caches nor mixes answers."""
        self.balancer(proxy).set_share({"blue": 50.0, "green": 50.0})
        visitors = [f"through-{number}" for number in range(40)]
        colours = {visitor: self.ask(proxy, visitor).colour for visitor in visitors}
        assert set(colours.values()) == {"blue", "green"}
        assert {visitor: self.ask(proxy, visitor).colour for visitor in reversed(visitors)} == colours
