"""Visitors of a stack of fakes: without them no release is ever judged."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from unittest import mock

from adaf_pipeline.testing.balancer import InProcess, visit
from adaf_pipeline.workflows import probe, processes, rollback, watch
from adaf_pipeline.workflows.receipt import Result as Probed

CROWD = 200  # visitors between two looks of a deploy


class Visitors:
    """Who comes by: 200 at each look of a deploy, each a new one. A test says how they fare.

    ``fails``: whether a colour's answer to a visitor (by number) is an error. ``quiet``: nobody comes. ``probed``: what
    the probe stream is said to have seen. ``balancer``: whom they visit, None as long as there is none.
    """

    def __init__(self) -> None:
        self.fails: Callable[[str, int], bool] = lambda _colour, _number: False
        self.quiet = False
        self.probed: list[Probed] = []
        self.balancer: InProcess | None = None
        self.numbers = itertools.count()

    def step(self) -> None:
        """The next ones come by."""
        if self.balancer is None or self.quiet:
            return
        for number in itertools.islice(self.numbers, CROWD):
            colour = self.balancer.place(f"v{number}")
            if colour:
                visit(self.balancer, f"v{number}", failed=self.fails(colour, number))

    @contextlib.contextmanager
    def instead_of_probes(self) -> Iterator[None]:
        """While entered a deploy in this process opens no socket: it meets these visitors, and time goes faster."""
        visitors = self

        class Stream:
            missed = 0

            def __init__(self, *_args: object, **_more: object) -> None: ...

            def start(self) -> None: ...

            def stop(self) -> tuple[Probed, ...]:
                return tuple(visitors.probed)

            def close(self) -> None: ...

            def results(self) -> tuple[Probed, ...]:
                visitors.step()
                return tuple(visitors.probed)

        with contextlib.ExitStack() as held:
            held.enter_context(mock.patch.object(probe, "ProbeStream", Stream))
            for module, name, seconds in (
                (watch, "TICK", 0.02),
                (watch, "GLANCE", 0.01),
                (watch, "SAY", 0.05),
                (rollback, "AFTER", 0),
                (processes, "STAYS", 0.05),
                (processes, "LOOK", 0.01),
            ):
                held.enter_context(mock.patch.object(module, name, seconds))
            yield
