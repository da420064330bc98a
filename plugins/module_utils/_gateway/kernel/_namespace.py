# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open network namespace. The process enters it only to open what stays there, so nothing else of the process ever moves.

Opening a namespace never creates it: a mistyped name is an error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, NotPermitted, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE

_RTM_GETNSID, _NETNSA_NSID, _NETNSA_FD = 90, 1, 3  # linux/net_namespace.h
_NLM_F_REQUEST_ACK = 0x5
_RTGENMSG = struct.Struct("=B3x")  # struct rtgenmsg, aligned


@dataclass(frozen=True)
class _Resources:
    netlink: NetlinkSocket
    sysctls: Sysctls


class Namespace:
    """A network namespace: a netlink socket in it, and the settings of its links. Both are opened when they are first needed.

    They can be closed at any time and are opened again, so that many namespaces need no more open files than a few.
    """

    def __init__(self, name: str, opened: Callable[[Namespace], None]) -> None:
        """Missing if it does not exist. opened: called with it whenever its socket or settings are used."""
        self.name = name
        self._report_use = opened
        self._resources: _Resources | None = None
        self._device_numbers: dict[str, str] | None = None
        self._identity: tuple[int, int] | None = None
        with self.file() as descriptor:
            self._identity = identity(os.fstat(descriptor))

    @property
    def identity(self) -> tuple[int, int]:
        """What is equal for two names of one namespace."""
        return self._identity or (0, 0)

    @contextlib.contextmanager
    def file(self) -> Iterator[int]:
        """A descriptor of the file that stands for the namespace."""
        path = path_of(self.name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would block
        except FileNotFoundError as error:
            raise Missing(
                f"There is no network namespace {self.name} ({path} does not exist)",
                "Correct the name, or create it first with the module netns",
            ) from error
        except OSError as error:
            raise self._refusal(error) from error
        try:
            if self._identity not in (None, identity(os.fstat(descriptor))):
                raise Refused(f"The network namespace {self.name} was replaced meanwhile ({path}). Run the task again")
            yield descriptor
        finally:
            os.close(descriptor)

    def _refusal(self, error: OSError) -> Refused:
        sentence = f"The network namespace {self.name} cannot be entered: {error.strerror} ({path_of(self.name)})"
        return NotPermitted(sentence) if error.errno in (errno.EPERM, errno.EACCES) else Refused(sentence)

    @property
    def netlink(self) -> NetlinkSocket:
        """A netlink socket in the namespace."""
        return self._opened().netlink

    @property
    def sysctls(self) -> Sysctls:
        """The settings of its links."""
        return self._opened().sysctls

    def _opened(self) -> _Resources:
        if self._resources is None:
            try:
                with self._entered():
                    self._resources = _Resources(NetlinkSocket(), Sysctls())
            except OSError as error:
                raise self._refusal(error) from error
        self._report_use(self)
        return self._resources

    def close(self) -> None:
        """Close what is open."""
        if self._resources is not None:
            self._resources.netlink.close()
            self._resources.sysctls.close()
            self._resources = None

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        if self.name == HERE:
            yield
            return
        own_namespace = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with self.file() as descriptor:
                try:
                    enter_network_namespace(descriptor)
                except OSError as error:
                    raise self._refusal(error) from error
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
            with self.file() as descriptor:
                self._device_numbers = devices.read_device_numbers(descriptor)
        return self._device_numbers

    def forget_device_numbers(self) -> None:
        """Have them read again."""
        self._device_numbers = None

    def number_of(self, other: Namespace) -> int | None:
        """The number by which links here refer to another namespace; None if it has none. This assigns none."""
        with other.file() as descriptor:
            body = _RTGENMSG.pack(0) + attribute(_NETNSA_FD, struct.pack("=I", descriptor))
            header = HEADER.pack(HEADER.size + len(body), _RTM_GETNSID, _NLM_F_REQUEST_ACK, 0, 0)
            try:
                (reply,) = self.netlink.request(header + body)
            except NetlinkError:
                return None
        value = dict(attributes(reply, HEADER.size + _RTGENMSG.size)).get(_NETNSA_NSID)
        number = -1 if value is None else int(struct.unpack("=i", value)[0])
        return None if number < 0 else number
