"""HAProxy as the balancer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from adaf_haproxy import location, settings
from adaf_haproxy import share as persisted
from adaf_haproxy.configuration import CONTROL, ID, service
from adaf_haproxy.control import Control
from adaf_haproxy.requestlog import Reader
from adaf_pipeline.errors import ConfigError
from adaf_pipeline.roles import Balancer, RequestLog
from adaf_pipeline.service import Ref, Services


class HAProxy(Balancer):
    """Two colours in one process; which visitor gets which is one number in it."""

    Settings = settings.Settings
    settings: settings.Settings

    def services(self) -> Services:
        app = next(iter(self.stack.apps.values()), None)
        if app is None:
            raise ConfigError(
                "adaf.yaml: apps: empty, and the balancer needs one to send visitors to",
                "apps: {web: {use: nextjs, path: web}}, for example; `inv plugins` lists what there is",
            )
        return (service(self.settings, app.name, app.replicas, self.stack.runtime.names),)

    @property
    def endpoints(self) -> Mapping[str, Ref]:
        """``again``: where the proxy repeats a request that ``http`` ended without an answer."""
        return {name: Ref("instance", ID, name, "path") for name in ("http", "again")}

    def share(self) -> Mapping[str, float]:
        return persisted.share_of(persisted.read(self._file()))

    def set_share(self, share: Mapping[str, float]) -> None:
        green = persisted.threshold(share)
        persisted.write(self._file(), green)
        self._control().set_green(green)

    def live_share(self) -> Mapping[str, float]:
        return persisted.share_of(self._control().green())

    def locate(self, instances: Mapping[str, Ref]) -> None:
        if self.stack.runtime.names:
            resolve = self.stack.runtime.resolve
            expected = {name: resolve(replace(ref, part="host")) for name, ref in instances.items()}
            location.wait(self._control(), expected)

    def active(self, colour: str) -> int:
        return self._control().active(colour)

    @contextmanager
    def log(self) -> Iterator[RequestLog]:
        reader = Reader(self._control(), self.settings.hang)
        try:
            yield reader
        finally:
            reader.close()

    def _file(self) -> Path:
        return Path(self.stack.runtime.resolve(Ref("path", ID, CONTROL, persisted.FILE)))

    def _control(self) -> Control:
        return Control(self.stack.runtime.resolve(Ref("instance", ID, "admin", "path")))
