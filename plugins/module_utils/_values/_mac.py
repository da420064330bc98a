# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MAC addresses."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Type


@dataclass(frozen=True)
class Mac(Type):
    """A unicast MAC address; normal form: lower case with colons."""

    def parse(self, value: Any) -> str:
        """The address from `00:16:3e:11:11:01`, `00-16-3E-11-11-01`, `0016.3e11.1101` or `00163e111101`."""
        text = str(value).strip()
        if re.fullmatch(r"\d{1,11}", text):
            raise InvalidValue(f"{text} is a number, as YAML reads an unquoted {_sexagesimal(int(text))}. Quote it")
        digits = re.sub(r"[:.-]", "", text).lower()
        grouped = re.fullmatch(
            r"([0-9a-f]{2}([:-]))([0-9a-f]{2}\2){4}[0-9a-f]{2}|([0-9a-f]{4}\.){2}[0-9a-f]{4}|[0-9a-f]{12}", text.lower()
        )
        if not grouped:
            advice = ". For an IP address, set addresses" if _is_ip(text) else ""
            raise InvalidValue(f"{text!r} is not a MAC address such as 00:16:3e:11:11:01{advice}")
        address = ":".join(digits[i : i + 2] for i in range(0, 12, 2))
        if address == "00:00:00:00:00:00":
            raise InvalidValue(f"{address} is not a valid MAC address")
        if int(digits[:2], 16) & 1:
            raise InvalidValue(
                f"{address} is a multicast address (the lowest bit of its first octet is set). Set a unicast address"
            )
        return address


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _sexagesimal(number: int) -> str:
    parts: list[int] = []
    for _place in range(5):
        number, part = divmod(number, 60)
        parts.insert(0, part)
    return ":".join(f"{part:02d}" for part in [number, *parts])
