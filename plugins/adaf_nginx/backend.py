"""nginx as the edge."""

from __future__ import annotations

from adaf_nginx import settings
from adaf_nginx.configuration import ID, service
from adaf_pipeline.roles import Proxy
from adaf_pipeline.service import Ref, Services


class Nginx(Proxy):
    """One port for visitors, one way to the balancer."""

    Settings = settings.Settings
    settings: settings.Settings

    def services(self) -> Services:
        entrances = self.stack.balancer.endpoints
        return (service(self.settings, entrances["http"], entrances.get("again")),)

    def url(self) -> str:
        return "http://" + self.stack.runtime.resolve(Ref("instance", ID, "http"))
