"""The applications of docs/applications.md, as a reader would copy them out."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from driving import Pipeline

from adaf_pipeline.testing.driving import Commands

PAGE = Path(__file__).parents[1] / "docs" / "applications.md"
HASTY = """
deploy:
  steps: [25]
  window: 1.5
  max_windows: 6
  bake: 1
  ready_timeout: 20
  warmup: 0.5
  probe: {rate: 100, baseline: 0.5, timeout: 3}
"""


def files(section: str) -> dict[str, str]:
    """Every file of one section, by name: a fence says ```LANGUAGE NAME."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    body = dict(zip(parts[1::2], parts[2::2], strict=True))[section]
    return dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", body, re.DOTALL | re.MULTILINE))


class Documented(Pipeline):
    """The commands in a folder with nothing but what a section shows, whose adaf.yaml judges in seconds."""

    def __init__(self, folder: Path, section: str, deploy: str = HASTY) -> None:
        Commands.__init__(self, folder)  # without the tiny application
        for name, text in files(section).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text + deploy if name == "adaf.yaml" else text)

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.folder / name
        body = file.read_text()
        assert old in body, f"{old!r} is not in {name}"
        file.write_text(body.replace(old, new))

    def page(self) -> tuple[str, str]:
        """Body and release id of / through the edge."""
        with urllib.request.urlopen(self.url + "/", timeout=5) as answer:
            return answer.read().decode(), answer.headers["x-release-id"]


@contextlib.contextmanager
def deployed(section: str, before: Callable[[Documented], object] = lambda _made: None) -> Iterator[Documented]:
    """Its first release live, in a folder that every account may enter; ``before``: what else a reader has to do."""
    folder = Path(tempfile.mkdtemp(prefix="adaf-test-"))
    folder.chmod(0o755)
    made = Documented(folder, section)
    try:
        before(made)
        made.remember(made.ok("deploy", "--canary")["url"])
        yield made
    finally:
        made.run("down", "--purge", "--json")
        shutil.rmtree(folder)
