"""nginx as the edge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from adaf_nginx import settings
from adaf_nginx.configuration import FLAG, ID, PROBE_HEADER, PROBE_SECRET, service
from adaf_pipeline.errors import PreconditionError
from adaf_pipeline.roles import Proxy
from adaf_pipeline.service import Ref, Services


class Nginx(Proxy):
    """One port for visitors, one way to the balancer."""

    Settings = settings.Settings
    settings: settings.Settings

    def services(self) -> Services:
        entrances = self.stack.balancer.endpoints
        return (service(self.settings, entrances["http"], entrances.get("again"), self._health()),)

    def _health(self) -> Iterator[str]:
        """What monitors and orchestrators ask of the applications."""
        for app in self.stack.apps.values():
            described = app.service("blue", 1, "")
            asked = (described.ready.http if described.ready else "", described.labels.get("live", ""))
            yield from (path for path in asked if path)

    def url(self) -> str:
        return "http://" + self.stack.runtime.resolve(Ref("instance", ID, "http"))

    def _flag(self) -> Path:
        return Path(self.stack.runtime.resolve(FLAG))

    def maintenance(self) -> bool:
        """nginx looks for the file at every request: no reload, and a restart finds it as it was."""
        return self._flag().exists()

    def set_maintenance(self, on: bool) -> None:
        flag = self._flag()
        if not on:
            flag.unlink(missing_ok=True)
            return
        if not flag.parent.is_dir():
            raise PreconditionError("the edge was never started here, so it has no maintenance page", "inv up")
        flag.touch()

    def pass_for_probes(self) -> Mapping[str, str]:
        """The hash, as the gate wrote it down. {} before the secret exists: nothing runs that would know it."""
        if PROBE_SECRET not in self.stack.secrets.names():
            return {}
        return {PROBE_HEADER: hashlib.sha256(self.stack.secrets.value(PROBE_SECRET).encode()).hexdigest()}
