# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to and from the kernel, in any namespace: the open namespaces, and the indexes of the links in them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _namespace_files as namespace_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._link_messages import RawLink, read_link
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespace import Namespace
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey

_RTEXT_FILTER_SKIP_STATS = 0x8  # linux/rtnetlink.h; any mask also keeps the kernel from cutting a dump at a huge link
_MAXIMUM_OPEN = 16  # namespaces, with some files each


class Kernel:
    """The namespaces of this machine, each opened when it is needed, until all are closed."""

    def __init__(self) -> None:
        """Open nothing yet; MissingLibrary if pyroute2 cannot be imported."""
        self.codec = codec.Codec()
        self._namespaces: dict[str, Namespace] = {}
        self._by_identity: dict[tuple[int, int], Namespace] = {}
        self._open: dict[Namespace, None] = {}  # in the order of their last use
        self._indexes: dict[LinkKey, int] = {}

    def close(self) -> None:
        """Close all namespaces."""
        for namespace in self._namespaces.values():
            namespace.close()
        self._namespaces.clear()
        self._by_identity.clear()
        self._open.clear()

    # --- namespaces ---

    def namespace(self, name: str) -> Namespace:
        """The namespace of this name; of several names for one namespace, the one that was used first."""
        if HERE not in self._namespaces:
            self._add(Namespace(HERE, self._used))
        if name not in self._namespaces:
            found = Namespace(name, self._used)
            same = self._by_identity.get(found.identity)
            if same is not None:
                return same
            self._add(found)
        return self._namespaces[name]

    def _add(self, namespace: Namespace) -> None:
        self._namespaces[namespace.name] = namespace
        self._by_identity[namespace.identity] = namespace

    def _used(self, namespace: Namespace) -> None:
        """Keep the namespaces open that were used last, so that many of them need few files."""
        self._open.pop(namespace, None)
        self._open[namespace] = None
        if len(self._open) > _MAXIMUM_OPEN:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()

    def known_namespaces(self) -> list[str]:
        """The names of those that were used."""
        return list(self._namespaces)

    def all_namespaces(self) -> list[str]:
        """The namespace that the process runs in, and every named one. Others may delete some meanwhile."""
        found = [self.namespace(HERE).name]
        for name in namespace_files.names():
            if namespace_files.exists(name):
                with contextlib.suppress(Missing):
                    found.append(self.namespace(name).name)
        return list(dict.fromkeys(found))

    def forget_namespace(self, name: str) -> None:
        """Close a namespace: it exists as long as a process has it open."""
        former = self._namespaces.pop(name, None)
        if former is not None:
            former.close()
            self._open.pop(former, None)
            self._by_identity.pop(former.identity, None)
        self.remember_indexes(name, {})

    # --- messages ---

    def send(self, netns: str, message: codec.Message, kind: int, flags: int, header: Any, attrs: codec.Attrs) -> None:
        """Send one message and wait for its acknowledgement."""
        self.namespace(netns).netlink.request(self.codec.encode(message, kind, flags, header, attrs))

    def ask(
        self, netns: str, message: codec.Message, kind: int, header: Mapping[str, int], attrs: codec.Attrs
    ) -> list[codec.Decoded]:
        """Send one message; the messages that answer it."""
        parts = self.namespace(netns).netlink.request(self.codec.encode(message, kind, 0, header, attrs))
        return [self.codec.decode(message, part) for part in parts]

    def dump_bytes(
        self, netns: str, message: codec.Message, kind: int, header: Mapping[str, int], attrs: codec.Attrs | None = None
    ) -> list[bytes]:
        """All objects of one type, not decoded."""
        return self.namespace(netns).netlink.dump(self.codec.encode(message, kind, codec.NLM_F_DUMP, header, attrs or []))

    def dump(self, netns: str, message: codec.Message, kind: int, header: Mapping[str, int]) -> list[codec.Decoded]:
        """All objects of one type."""
        return [self.codec.decode(message, part) for part in self.dump_bytes(netns, message, kind, header)]

    # --- links ---

    def dump_links(self, netns: str) -> dict[int, RawLink]:
        """All links of a namespace, by index."""
        mask = [["IFLA_EXT_MASK", _RTEXT_FILTER_SKIP_STATS]]
        parts = self.dump_bytes(netns, self.codec.link, codec.RTM_GETLINK, {}, mask)
        links = [read_link(self.codec.decode(self.codec.link, part)) for part in parts]
        return {link.index: link for link in links}

    def link_by_index(self, netns: str, index: int) -> RawLink:
        """The link with this index."""
        (link,) = self.ask(netns, self.codec.link, codec.RTM_GETLINK, {"index": index}, [])
        return read_link(link)

    def name_by_index(self, netns: str, index: int) -> str | None:
        """The name of the link with this index; None if there is none."""
        try:
            (link,) = self.ask(netns, self.codec.link, codec.RTM_GETLINK, {"index": index}, [])
        except NetlinkError:
            return None
        return str(link.get("IFLA_IFNAME"))

    def index(self, key: LinkKey) -> int:
        """The index of a link: as it was observed, so that a link that replaced it meanwhile is not mistaken for it."""
        if key not in self._indexes:
            (link,) = self.ask(key.netns, self.codec.link, codec.RTM_GETLINK, {}, [["IFLA_IFNAME", key.name]])
            if link.get("IFLA_IFNAME") != key.name:  # an alternative name of another link
                raise NetlinkError(errno.ENODEV, os.strerror(errno.ENODEV))
            self._indexes[key] = link["index"]
        return self._indexes[key]

    def indexes_in(self, *namespaces: str) -> set[int]:
        """The indexes of all links of these namespaces, as far as they were observed."""
        return {index for key, index in self._indexes.items() if key.netns in namespaces}

    def remember_indexes(self, netns: str, indexes: Mapping[LinkKey, int]) -> None:
        """Take these for the indexes of all links of a namespace."""
        self._indexes = {**{key: index for key, index in self._indexes.items() if key.netns != netns}, **indexes}

    def remember_index(self, key: LinkKey, index: int) -> None:
        """Take this for the index of a link."""
        self._indexes[key] = index

    def forget_index(self, key: LinkKey) -> None:
        """The link of this name is another one from now on, or none."""
        self._indexes.pop(key, None)
