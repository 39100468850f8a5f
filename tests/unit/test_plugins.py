"""Plugins: found, kept apart, and named when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaf_pipeline import hooks, plugins
from adaf_pipeline.errors import PluginError
from adaf_pipeline.hooks import Backend, impl
from adaf_pipeline.plan import Facts, Plan, Run, Step
from adaf_pipeline.requests import Request, TypecheckRequest
from adaf_pipeline.testing.stack import fake_stack


class Provides:
    def __init__(self, *backends: Backend) -> None:
        self.backends = backends

    @impl
    def adaf_backends(self) -> list[Backend]:
        return list(self.backends)


def registry(**given: object) -> plugins.Registry:
    found = plugins.Registry()
    for name, plugin in given.items():
        found.add(name, plugin)
    return found


def test_a_backend_is_loaded_on_first_use_only() -> None:
    found = registry(one=Provides(Backend("cache", "none", "no_such_module:Thing")))
    assert ("cache", "none") in found.backends()
    with pytest.raises(PluginError, match="plugin one cannot be loaded: no_such_module:Thing: ModuleNotFoundError"):
        found.load("cache", "none", "adaf.yaml: cache")


def test_an_unknown_backend_lists_what_there_is_and_what_is_broken() -> None:
    found = registry(one=Provides(Backend("cache", "redis", "x:Y")))
    found.broken["two"] = "ImportError: nope"
    with pytest.raises(PluginError, match=r'adaf\.yaml: cache: no plugin provides cache "redid"') as caught:
        found.load("cache", "redid", "adaf.yaml: cache")
    assert caught.value.hint == "available: redis; two is broken: ImportError: nope"
    assert caught.value.exit_code == 3


def test_two_providers_of_one_name_are_both_named() -> None:
    found = registry(a=Provides(Backend("cache", "redis", "x:Y")), b=Provides(Backend("cache", "redis", "z:Y")))
    with pytest.raises(PluginError, match=r"provided twice: .*a \(x:Y\).*"):
        found.load("cache", "redis", "adaf.yaml: cache")


def test_a_misspelt_hook_is_found_and_leaves_nothing_behind() -> None:
    class Misspelt:
        @impl
        def adaf_backend(self) -> None: ...

    found = registry(wrong=Misspelt(), good=Provides(Backend("cache", "redis", "x:Y")))
    assert "adaf_backend" in found.broken["wrong"]
    assert ("cache", "redis") in found.backends()


def test_a_plugin_that_raises_while_listing_is_broken_and_the_others_are_listed() -> None:
    class Raises:
        @impl
        def adaf_backends(self) -> list[Backend]:
            raise RuntimeError("no")

    found = registry(bad=Raises(), good=Provides(Backend("cache", "redis", "x:Y")))
    assert list(found.backends()) == [("cache", "redis")]
    assert found.broken["bad"] == "adaf_backends: RuntimeError: no"


def test_loose_files_are_plugins_and_broken_ones_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".adaf" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(
        "from adaf_pipeline.hooks import Backend, impl\n"
        "class Mine: pass\n"
        "@impl\n"
        "def adaf_backends():\n"
        "    return [Backend('cache', 'mine', 'adaf_loose_mine:Mine')]\n"
    )
    (tmp_path / "bad.py").write_text("import nothing_like_this\n")
    monkeypatch.setenv("ADAF_PLUGINS", str(tmp_path / "bad.py"))
    found = plugins.discover(tmp_path)
    assert found.load("cache", "mine", "here").__name__ == "Mine"
    assert "nothing_like_this" in found.broken["file:bad"]


class Answers:
    def __init__(self, step: str) -> None:
        self.step = step

    @impl
    def adaf_plan(self, request: Request, facts: Facts) -> Plan | None:
        if not isinstance(request, TypecheckRequest):
            return None
        return Plan(request, facts, (Step(self.step, "because", lambda _run: None),))


def test_a_plugin_answers_for_one_of_our_requests_and_thereby_replaces_it(tmp_path: Path) -> None:
    stack = fake_stack(tmp_path, plugins={"mine": Answers("own")})
    assert [s.id for s in stack.registry.plan(stack, TypecheckRequest(), {}).steps] == ["own"]


def test_two_plugins_that_answer_are_both_named(tmp_path: Path) -> None:
    stack = fake_stack(tmp_path, plugins={"mine": Answers("own"), "yours": Answers("other")})
    with pytest.raises(PluginError, match="more than one plugin answers: mine, yours"):
        stack.registry.plan(stack, TypecheckRequest(), {})


def test_a_wrapper_inserts_steps_or_vetoes(tmp_path: Path) -> None:
    class Inserts:
        @impl(wrapper=True)
        def adaf_plan(self, request: Request) -> object:
            plan = yield
            return Plan(request, plan.facts, (*plan.steps, Step("tell", "somebody", lambda _run: None)))

    stack = fake_stack(tmp_path, plugins={"tells": Inserts()})
    assert [s.id for s in stack.registry.plan(stack, TypecheckRequest(), {}).steps] == ["typecheck", "tell"]


def test_nobody_answers_for_a_strange_request(tmp_path: Path) -> None:
    class Strange(Request):
        task = "strange"

    stack = fake_stack(tmp_path)
    with pytest.raises(PluginError, match="no plugin has a plan for strange"):
        stack.registry.plan(stack, Strange(), {})


def test_a_broken_observer_stops_nothing(tmp_path: Path) -> None:
    from adaf_pipeline.event import Event

    seen: list[str] = []

    class Broken:
        @impl
        def adaf_event(self, event: Event) -> None:
            raise ValueError("no")

    class Fine:
        @impl
        def adaf_event(self, event: Event) -> None:
            seen.append(event.kind)

    stack = fake_stack(tmp_path, plugins={"broken": Broken(), "fine": Fine()})
    trouble = stack.registry.notify(stack, Event("r", 1, 0.0, "run"))
    assert seen == ["run"]
    assert trouble == ["plugin broken: adaf_event: ValueError: no"]


def test_a_role_that_is_not_filled_completely_is_named(tmp_path: Path) -> None:
    stack = fake_stack(tmp_path, plugins={"half": Provides(Backend("cache", "half", f"{__name__}:Half"))})
    stack.config.roles["cache"].__dict__.update(use="half")
    with pytest.raises(PluginError, match="Half does not implement: binding, command, shell"):
        _ = stack.cache


def test_a_class_of_another_role_is_refused(tmp_path: Path) -> None:
    stack = fake_stack(
        tmp_path, plugins={"odd": Provides(Backend("cache", "odd", "adaf_pipeline.testing.proxy:FakeProxy"))}
    )
    stack.config.roles["cache"].__dict__.update(use="odd")
    with pytest.raises(PluginError, match="FakeProxy is not a Cache"):
        _ = stack.cache


from adaf_pipeline.roles import Cache  # noqa: E402


class Half(Cache):
    Settings = plugins.Registry  # never reached: the class is refused first


def test_a_plugin_whose_tasks_raise_is_listed_as_broken() -> None:
    class Raises:
        @staticmethod
        @impl
        def adaf_tasks() -> list[object]:
            raise RuntimeError("nope")

    found = registry(one=Raises)
    found.check_tasks()
    assert found.broken == {"one": "adaf_tasks: RuntimeError: nope"}


def test_every_hook_is_one_of_five() -> None:
    found = [name for name in vars(hooks) if name.startswith("adaf_")]
    assert sorted(found) == ["adaf_backends", "adaf_event", "adaf_guards", "adaf_plan", "adaf_tasks"]


def _unused(_run: Run) -> None: ...
