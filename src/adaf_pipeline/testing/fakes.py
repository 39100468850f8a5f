"""The fakes as a plugin, through the same door as everything else: ``balancer: fake`` in adaf.yaml, and so on.

It is not installed as one, so that nobody finds fakes in `inv plugins`. ``ADAF_PLUGINS`` with this file's path brings
them into any process; the ``pipeline`` fixture does that.
"""

from __future__ import annotations

from adaf_pipeline.hooks import Backend, impl

HERE = "adaf_pipeline.testing"


@impl
def adaf_backends() -> list[Backend]:
    return [
        Backend("runtime", "fake", f"{HERE}.runtime:FakeRuntime", "runs nothing, remembers everything"),
        Backend("app", "fake", f"{HERE}.app:FakeApp", "its folder is copied"),
        Backend("balancer", "fake", f"{HERE}.balancer:FakeBalancer", "in memory"),
        Backend("proxy", "fake", f"{HERE}.proxy:FakeProxy", "an address where nobody listens"),
        Backend("database", "fake", f"{HERE}.database:FakeDatabase", "in memory"),
        Backend("cache", "fake", f"{HERE}.cache:FakeCache", "in memory"),
        Backend("secrets", "fake", f"{HERE}.secrets:FakeSecrets", "in memory"),
    ]
