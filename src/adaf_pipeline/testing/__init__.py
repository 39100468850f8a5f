"""For plugin authors and our own tests: fakes (as a plugin), one contract suite a role, a pipeline to drive, a load client.

``pip install adaf-pipeline[testing]`` brings pytest. Everything public has its name here; a module is imported when a
name of it is asked for. docs/plugins.md shows how they are used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaf_pipeline.testing.app import AppContract, FakeApp
    from adaf_pipeline.testing.balancer import BalancerContract, FakeBalancer, visit
    from adaf_pipeline.testing.cache import CacheContract, FakeCache
    from adaf_pipeline.testing.database import DatabaseContract, FakeDatabase
    from adaf_pipeline.testing.driving import Outcome, Pipeline
    from adaf_pipeline.testing.load import Load
    from adaf_pipeline.testing.proxy import Answer, FakeProxy, ProxyContract
    from adaf_pipeline.testing.runtime import FakeRuntime, RuntimeContract
    from adaf_pipeline.testing.secrets import FakeSecrets, SecretsContract
    from adaf_pipeline.testing.stack import fake_stack, real_stack, start_roles
    from adaf_pipeline.testing.visitors import Visitors

__all__ = [
    "Answer",
    "AppContract",
    "BalancerContract",
    "CacheContract",
    "DatabaseContract",
    "FakeApp",
    "FakeBalancer",
    "FakeCache",
    "FakeDatabase",
    "FakeProxy",
    "FakeRuntime",
    "FakeSecrets",
    "Load",
    "Outcome",
    "Pipeline",
    "ProxyContract",
    "RuntimeContract",
    "SecretsContract",
    "Visitors",
    "fake_stack",
    "real_stack",
    "start_roles",
    "visit",
]

CONTRACTS = ("app", "balancer", "cache", "database", "proxy", "runtime", "secrets")
_PLACES = {
    **dict.fromkeys(("Outcome", "Pipeline"), "driving"),
    **dict.fromkeys(("fake_stack", "real_stack", "start_roles"), "stack"),
    "Load": "load",
    "Visitors": "visitors",
    "Answer": "proxy",
    "visit": "balancer",
}

if "pytest" in sys.modules:  # a failing contract is to show its values, as a test's own asserts do
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{name}" for name in CONTRACTS))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _PLACES.get(name) or name.removeprefix("Fake").removesuffix("Contract").lower()
    return getattr(import_module(f"{__name__}.{module}"), name)
