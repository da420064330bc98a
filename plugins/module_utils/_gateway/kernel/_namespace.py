# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open network namespace. The process enters it only to open what stays there, so nothing else of the process ever moves.

Opening a namespace never creates it: a mistyped name is an error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import OWN, identity, path_of
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._system_calls import enter_network_namespace
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _devices as devices
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import (
    HEADER,
    NETLINK_SOCK_DIAG,
    NetlinkError,
    NetlinkSocket,
    attribute,
    attributes,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._sysctls import Sysctls
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE

_RTM_GETNSID, _NETNSA_NSID, _NETNSA_FD = 90, 1, 3  # linux/net_namespace.h
_NLM_F_REQUEST_ACK = 0x5
_RTGENMSG = struct.Struct("=B3x")  # struct rtgenmsg, aligned


class Namespace:
    """A network namespace: a netlink socket in it, and the settings of its links."""

    def __init__(self, name: str) -> None:
        """Open it; Missing if it does not exist."""
        self.name = name
        self._device_numbers: dict[str, str] | None = None
        path = path_of(name)
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Missing(
                f"There is no network namespace {name} ({path} does not exist)",
                "Correct the name, or create it first with the module netns",
            ) from error
        self.identity = identity(os.fstat(self.descriptor))
        try:
            with self._entered():
                self.socket = NetlinkSocket()
                self.sysctls = Sysctls()
        except OSError as error:
            os.close(self.descriptor)
            raise Refused(f"The network namespace {name} cannot be entered: {error.strerror} ({path})") from error

    def close(self) -> None:
        """Close everything."""
        self.socket.close()
        self.sysctls.close()
        os.close(self.descriptor)

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        if self.name == HERE:
            yield
            return
        own_namespace = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter_network_namespace(self.descriptor)
            try:
                yield
            finally:
                enter_network_namespace(own_namespace)
        finally:
            os.close(own_namespace)

    @contextlib.contextmanager
    def packet_socket(self, link: str) -> Iterator[socket.socket]:
        """A socket for whole frames on a link."""
        with self._entered():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
        try:
            opened.bind((link, 0))
            yield opened
        finally:
            opened.close()

    @contextlib.contextmanager
    def diagnostic_socket(self) -> Iterator[NetlinkSocket]:
        """A socket that reports the sockets of this namespace (sock_diag(7))."""
        with self._entered():
            opened = NetlinkSocket(NETLINK_SOCK_DIAG)
        try:
            yield opened
        finally:
            opened.close()

    def device_numbers(self, refresh: bool = False) -> dict[str, str]:
        """The device number ("246:1") of each macvtap here, by name; read once, until it is refreshed or forgotten."""
        if self._device_numbers is None or refresh:
            self._device_numbers = devices.read_device_numbers(self.descriptor)
        return self._device_numbers

    def forget_device_numbers(self) -> None:
        """Have them read again."""
        self._device_numbers = None

    def number_of(self, other: Namespace) -> int | None:
        """The number by which links here refer to another namespace; None if it has none. This assigns none."""
        body = _RTGENMSG.pack(0) + attribute(_NETNSA_FD, struct.pack("=I", other.descriptor))
        try:
            (reply,) = self.socket.request(HEADER.pack(HEADER.size + len(body), _RTM_GETNSID, _NLM_F_REQUEST_ACK, 0, 0) + body)
        except NetlinkError:
            return None
        value = dict(attributes(reply, HEADER.size + _RTGENMSG.size)).get(_NETNSA_NSID)
        number = -1 if value is None else int(struct.unpack("=i", value)[0])
        return None if number < 0 else number
