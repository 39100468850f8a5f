"""The replaceable responsibilities. A backend is a class that fills one of these, chosen by name in adaf.yaml.

Every backend is constructed as ``Backend(settings, stack)``: its own ``Settings`` (a msgspec.Struct) already validated,
and a StackView through which it reaches the other roles, late. Constructors do no I/O.
"""

from adaf_pipeline.roles.app import App, Fault, Locked, Migrations, Problem, Workplace
from adaf_pipeline.roles.role import Binding, Finding, Kept, NoSettings, Progress, Role, RoleName, StackView, View
from adaf_pipeline.roles.runtime import LOCK, Change, Checked, Observed, Runtime
from adaf_pipeline.roles.stores import Cache, Database, Secrets
from adaf_pipeline.roles.traffic import COLOURS, Balancer, MemoryLog, Proxy, RequestLog, Served, whole_share
from adaf_pipeline.roles.variables import Deliveries, Delivery

__all__ = [
    "COLOURS",
    "LOCK",
    "App",
    "Balancer",
    "Binding",
    "Cache",
    "Change",
    "Checked",
    "Database",
    "Deliveries",
    "Delivery",
    "Fault",
    "Finding",
    "Kept",
    "Locked",
    "MemoryLog",
    "Migrations",
    "NoSettings",
    "Observed",
    "Problem",
    "Progress",
    "Proxy",
    "RequestLog",
    "Role",
    "RoleName",
    "Runtime",
    "Secrets",
    "Served",
    "StackView",
    "View",
    "Workplace",
    "whole_share",
]
