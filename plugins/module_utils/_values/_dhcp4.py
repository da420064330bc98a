# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `dhcp4` of a link: how its suboptions are parsed, saved and returned. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRoute, SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer

# In the order of preference: the first client that the host has and that supports the options serves the link. udhcpc sends
# nothing that is not configured and leaves IPv6 to the kernel. The last two send renewals through the link that the main table
# selects, with the MAC address of that link.
NETWORKD = "networkd"
CLIENTS = ("udhcpc", NETWORKD, "dhclient", "dhcpcd")
ARGUMENT: dict[str, Any] = {
    "type": "dict",
    "options": {
        "enabled": {"type": "bool", "default": True},
        "client_id": {"type": "str", "default": "none"},
        "hostname": {"type": "str"},
        "vendor_class": {"type": "str"},
        "metric": {"type": "int"},
        "use_routes": {"type": "bool", "default": True},
        "use_main_table": {"type": "bool", "default": False},
        "use_dns": {"type": "bool", "default": False},
        "wait": {"type": "float"},
        "client": {"type": "str", "choices": list(CLIENTS)},
    },
}
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def parsed(params: Mapping[str, Any]) -> tuple[Dhcp4, float | None]:
    """The options of the client, and the seconds to wait for a lease. InvalidValue names the suboption, but not `dhcp4`."""

    def read(name: str, parse: Callable[[Any], Any]) -> Any:
        if params.get(name) is None:
            return None
        try:
            return parse(params[name])
        except InvalidValue as error:
            raise InvalidValue(f"{name}: {error}") from error

    if not params.get("enabled", True):
        return Dhcp4(enabled=False), None
    wait = read("wait", _wait)
    options = Dhcp4(
        True,
        read("client_id", _client_id) or "none",
        read("hostname", _hostname),
        read("vendor_class", _vendor_class),
        None,
        bool(params.get("use_main_table")),
        read("metric", Integer(0, 0xFFFFFFFF).parse) or None,
        params.get("use_routes", True) is not False,
        params.get("client"),
        bool(params.get("use_dns")),
    )
    return options, wait


def _wait(value: float) -> float:
    if not 0 < value <= 3600:
        raise InvalidValue(f"{value:g} is not greater than 0 and at most 3600 seconds. Omit wait to continue without the lease")
    return value


def _client_id(value: str) -> str:
    """A keyword, or the bytes of an identifier with colons."""
    text = value.strip().lower().replace("-", ":")
    if text in ("none", "mac", "duid"):
        return text
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){1,254}", text):
        raise InvalidValue(
            f"{value!r} is not a client identifier. Set none, mac, duid, or bytes such as '01:52:54:00:12:34:56' (quoted)"
        )
    if text.count(":") == 5 and text[:2] not in ("00", "01", "ff"):
        raise InvalidValue(
            f"{value} looks like a MAC address without the type byte of a client identifier. "
            f"Set mac to send the MAC address of the link, or set 01:{text}"
        )
    return text


def _hostname(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", value):
        raise InvalidValue(f"{value!r} is not a valid host name. Use letters, digits and hyphens, with dots between the labels")
    return value


def _vendor_class(value: str) -> str:
    if not re.fullmatch(r"[ -~]{1,255}", value):
        raise InvalidValue(f"{value!r} is not a valid vendor class. Use 1 to 255 printable ASCII characters")
    return value


def saved(options: Dhcp4) -> dict[str, Any]:
    """The suboptions that differ from their defaults, as JSON values. `parsed` reads them back."""
    if not options.enabled:
        return {"enabled": False}
    usual = vars(replace(Dhcp4(), client_id=""))
    return {name: value for name, value in vars(options).items() if value != usual[name] and name != "source_routing"}


def recorded(options: Dhcp4) -> dict[str, Any]:
    """All options as JSON values. `from_record` reads them back."""
    routing = options.source_routing
    if routing is None:
        return {**vars(options), "source_routing": None}
    routes = [dict(vars(route)) for route in routing.routes]
    return {**vars(options), "source_routing": {**vars(routing), "routes": routes}}


def from_record(record: Mapping[str, Any]) -> Dhcp4:
    """The options that a client was started with."""
    routing = record["source_routing"]
    if routing is None:
        return Dhcp4(**record)
    gateways, routes = tuple(routing["gateways"]), tuple(SourceRoute(**route) for route in routing["routes"])
    return Dhcp4(**{**record, "source_routing": SourceRouting(**{**routing, "gateways": gateways, "routes": routes})})


def returned(client: Client | None) -> dict[str, Any]:
    """A client with the names of its options, and its lease. Missing values are null."""
    options = client.options if client is not None else Dhcp4(enabled=False, client_id="", use_routes=False)
    described = {field.name: getattr(options, field.name) for field in fields(Dhcp4) if field.name != "source_routing"}
    lease = client.lease if client is not None else None
    described["client_id"] = described["client_id"] or None
    described["lease"] = None
    if lease is not None:
        described["lease"] = {
            "address": str(lease),
            "routers": list(lease.routers),
            "routes": [{"destination": destination, "gateway": gateway} for destination, gateway in lease.routes],
            "dns": list(lease.dns),
            "domain": lease.domain or None,
            "server": lease.server or None,
            "seconds": lease.seconds,
        }
    return described


def compared(client: Client | None) -> dict[str, Any]:
    """A client as a diff shows it: the options that it was started with."""
    if client is None or not client.is_running:
        return {"state": "absent"}
    options = {name: value for name, value in vars(client.options).items() if value is not None}
    if client.options.source_routing is not None:
        options["source_routing"] = str(client.options.source_routing)
    return {"state": "present", **options}
