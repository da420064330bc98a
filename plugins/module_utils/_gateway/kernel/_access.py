# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading and writing share: the open namespaces, the way of a message into one, and the indexes of links."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _messages as messages
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespaces import Namespace, named
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._socket import NetlinkError, NetlinkSocket
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey

RTEXT_FILTER_SKIP_STATS = 0x8  # linux/rtnetlink.h; any mask also keeps the kernel from cutting a dump at a huge link


class Access:
    """The namespaces of this machine, each opened when it is needed first; close them all in the end."""

    def __init__(self) -> None:
        """Nothing is opened yet; MissingLibrary when there is no pyroute2."""
        self._codec = codec.Codec()
        self._namespaces: dict[str, Namespace] = {}
        self._indexes: dict[LinkKey, int] = {}

    def close(self) -> None:
        """Close all sockets."""
        for namespace in self._namespaces.values():
            namespace.close()
        self._namespaces.clear()

    def _namespace(self, name: str) -> Namespace:
        """The open namespace of this name; of several names for one namespace, the first that was used stands for all."""
        if HERE not in self._namespaces:
            self._namespaces[HERE] = Namespace(HERE)
        if name not in self._namespaces:
            opened = Namespace(name)
            for other in self._namespaces.values():
                if other.identity == opened.identity:
                    opened.close()
                    return other
            self._namespaces[name] = opened
        return self._namespaces[name]

    def all_namespaces(self) -> list[str]:
        """The namespace that the process runs in, and every named one that can be entered."""
        found = [HERE]
        for name in named():
            try:
                found.append(self._namespace(name).name)
            except Refused:  # a file that was left behind: its namespace is gone
                continue
        return list(dict.fromkeys(found))

    def packet_socket(self, key: LinkKey) -> contextlib.AbstractContextManager[socket.socket]:
        """A socket for whole frames on a link."""
        return self._namespace(key.netns).packet_socket(key.name)

    def diagnostic_socket(self, netns: str) -> contextlib.AbstractContextManager[NetlinkSocket]:
        """One that is asked about the sockets of a namespace."""
        return self._namespace(netns).diagnostic_socket()

    def name_by_index(self, netns: str, index: int) -> str | None:
        """The name of the link with this number; None when there is none."""
        return self._found_by_index(netns, index)

    def _forget(self, name: str) -> None:
        """Close a namespace, which lives on as long as anybody has it open."""
        opened = self._namespaces.pop(name, None)
        if opened is not None:
            opened.close()
        self._indexes = {key: index for key, index in self._indexes.items() if key.netns != name}

    def _dump(self, netns: str, message: Any, kind: int, header: dict[str, int]) -> list[codec.Decoded]:
        request = self._codec.encode(message, kind, codec.NLM_F_DUMP, header, [])
        return [self._codec.decode(message, part) for part in self._namespace(netns).socket.dump(request)]

    def _dump_links(self, namespace: Namespace) -> dict[int, messages.RawLink]:
        request = self._codec.encode(
            self._codec.link, codec.RTM_GETLINK, codec.NLM_F_DUMP, {}, [["IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS]]
        )
        found = [messages.read_link(self._codec.decode(self._codec.link, part)) for part in namespace.socket.dump(request)]
        return {link.index: link for link in found}

    def _found_by_index(self, netns: str, index: int) -> str | None:
        request = self._codec.encode(self._codec.link, codec.RTM_GETLINK, 0, {"index": index}, [])
        try:
            (part,) = self._namespace(netns).socket.request(request)
        except NetlinkError:
            return None
        return str(self._codec.decode(self._codec.link, part).get("IFLA_IFNAME"))

    def _index(self, key: LinkKey) -> int:
        """The index of a link: as observed, so that a link that was replaced meanwhile is not mistaken for it."""
        if key not in self._indexes:
            attr = "IFLA_IFNAME"
            request = self._codec.encode(self._codec.link, codec.RTM_GETLINK, 0, {}, [[attr, key.name]])
            (part,) = self._namespace(key.netns).socket.request(request)
            found = self._codec.decode(self._codec.link, part)
            if found.get(attr) != key.name:  # an alternative name of another link
                raise NetlinkError(errno.ENODEV, os.strerror(errno.ENODEV))
            self._indexes[key] = found["index"]
        return self._indexes[key]

    def _send(self, netns: str, message: Any, kind: int, flags: int, header: Any, attrs: codec.Attrs) -> None:
        self._namespace(netns).socket.request(self._codec.encode(message, kind, flags, header, attrs))
