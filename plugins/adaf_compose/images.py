"""Images: those of services, each from a folder with a Dockerfile, and those of releases, on top of them."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from adaf_compose.program import Program
from adaf_pipeline.errors import PreconditionError, ServiceError
from adaf_pipeline.host import places
from adaf_pipeline.roles import Progress

SHIPPED = Path(__file__).with_name("dockerfiles")
BASES = "bases.yaml"
OWNER = "adaf"  # of names on this host; no registry is asked for them
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # the engine's own, around what went to stderr


class Images:
    """``folder``: one folder for each image, by name; ``bases``: build arguments. ``stack``: whose releases these are;
    ``said``: where a build that failed leaves all that it printed."""

    def __init__(self, program: Program, folder: Path, bases: Mapping[str, str], stack: str, said: Path) -> None:
        self.program, self.folder, self.bases, self.stack, self.said = program, folder, dict(bases), stack, said
        self._tags: dict[str, str] = {}

    def tag(self, name: str) -> str:
        """The reference of an image: one of ours changes with its folder and the bases. Others are given as they are."""
        if "@sha256:" in name:
            return name
        if name not in self._tags:
            place = self.folder / name
            if not (place / "Dockerfile").is_file():
                raise PreconditionError(
                    f"{place}: no Dockerfile of the image {name}", "runtime: images: names the folder that has one"
                )
            said = [(str(p.relative_to(place)), p.read_bytes()) for p in sorted(place.rglob("*")) if p.is_file()]
            told = repr([said, sorted(self._arguments(name).items())])
            self._tags[name] = f"{OWNER}/{name}:{hashlib.sha256(told.encode()).hexdigest()[:12]}"
        return self._tags[name]

    def _arguments(self, name: str) -> dict[str, str]:
        """The public bases of the file beside the folders, and the stack's own instead, as far as it asks for them."""
        given = yaml.safe_load((SHIPPED / BASES).read_text()) | self.bases
        asked = re.findall(r"(?m)^ARG\s+(\w+)", (self.folder / name / "Dockerfile").read_text())
        return {argument: str(given[argument]) for argument in asked if argument in given}

    def of(self, image: str, package: str) -> str:
        """What a service's container is made of: its release, or its program alone."""
        return f"{OWNER}/{self.stack}:{package}" if package else self.tag(image)

    def ensure(self, names: Iterable[str], progress: Progress) -> None:
        """Build those that are not there."""
        for name in sorted(set(names)):
            tag = self.tag(name)
            if not self.there(tag):
                progress(f"building the image {tag}")
                self._build(tag, path=str(self.folder / name), buildargs=self._arguments(name))

    def package(self, artefact: Path, release: str, image: str, progress: Progress) -> str:
        """The id of the release's image, made when it is not there."""
        tag = self.of(image, release)
        if not self.there(tag):
            self.ensure([image], progress)
            progress(f"building the image {tag}")
            with tempfile.TemporaryFile() as context:
                with tarfile.open(fileobj=context, mode="w") as tar:
                    told = f"FROM {self.tag(image)}\nCOPY app /app\nWORKDIR /app\n".encode()
                    entry = tarfile.TarInfo("Dockerfile")
                    entry.size = len(told)
                    tar.addfile(entry, io.BytesIO(told))
                    tar.add(artefact, "app", filter=_roots)
                context.seek(0)
                self._build(tag, fileobj=context, custom_context=True)
        with self.program.asking():
            return str(self.program.looking.images.get(tag).id)

    def there(self, tag: str) -> bool:
        from docker.errors import ImageNotFound

        with self.program.asking():
            try:
                self.program.looking.images.get(tag)
            except ImageNotFound:
                return False
        return True

    def discard(self, release: str) -> None:
        """Forget a release's image; one that a container still has stays, without a name."""
        from docker.errors import ImageNotFound

        with self.program.asking():
            try:
                self.program.client.images.remove(self.of("", release), force=True)
            except ImageNotFound:
                return

    def discard_all(self) -> None:
        """Forget the images of all releases of the stack."""
        with self.program.asking():
            for image in self.program.client.images.list(f"{OWNER}/{self.stack}"):
                for tag in image.tags:
                    self.discard(tag.rpartition(":")[2])

    def _build(self, tag: str, **how: Any) -> None:
        from docker.errors import APIError, BuildError

        file = self.said / f"{tag.rpartition('/')[2].partition(':')[0]}.log"
        with self.program.asking():
            try:
                self.program.client.images.build(tag=tag, rm=True, forcerm=True, **how)
            except APIError as exc:  # a Dockerfile that it does not understand
                raise _failed(tag, str(exc.explanation or exc)) from exc
            except BuildError as exc:
                told = _COLOUR.sub("", "".join(str(part.get("stream", "")) for part in exc.build_log))
                lines = [line for line in told.splitlines() if line]
                places.write(file, "\n".join([*lines, str(exc.msg), ""]), mode=0o600)
                raise _failed(tag, str(exc.msg), file, lines[-15:]) from exc
        file.unlink(missing_ok=True)


def _failed(tag: str, reason: str, said: Path | None = None, detail: Iterable[str] = ()) -> ServiceError:
    look = f"{said} has the whole build; " if said else ""
    hint = f"{look}mend its Dockerfile or runtime: bases:, then the same again"
    return ServiceError(f"image {tag}: cannot be built: {' '.join(reason.split())}", hint, detail=[*detail])


def _roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody who runs it may change it, everybody may read it, and nothing in it makes its user another."""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
