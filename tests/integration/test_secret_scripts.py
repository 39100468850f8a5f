"""What a real shell makes of a secret inside a URL."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from adaf_pipeline.host import variables


@pytest.mark.parametrize(
    "value", ["plain-_.~09AZaz", "p@ss:w/rd?#[]%41 $HOME`id`'\"\\", "naïve\tünï", "*", "-n", "%", "a\nb"]
)
def test_any_value_comes_back_out_of_the_url(tmp_path: Path, value: str) -> None:
    file = tmp_path / "a value"
    file.write_text(value)
    script = (
        variables.secret("URL", file, ("db://us'er:", "@h:1/x?a=$HOME"))
        + '\nprintf %s "$URL"; echo; env | grep -c adaf_secret'
    )
    for shell in ("/bin/sh", "/bin/bash"):
        said = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False).stdout
        url, _, leaked = said.rstrip("\n").rpartition("\n")
        assert leaked == "0"
        assert url.startswith("db://us'er:") and url.endswith("@h:1/x?a=$HOME")
        inside = url.removeprefix("db://us'er:").removesuffix("@h:1/x?a=$HOME")
        assert unquote(inside) == value
        assert not set(inside) & set("@:/?#[] $`'\"\\\n")
        if value.startswith("plain"):
            assert inside == value


def test_a_secret_that_is_gone_ends_the_start(tmp_path: Path) -> None:
    script = variables.secret("URL", tmp_path / "none", ("a", "b")) + "\necho started"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 111 and "started" not in done.stdout
    assert shlex.quote(str(tmp_path / "none")) in script
