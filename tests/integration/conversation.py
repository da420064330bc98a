# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the messages between a gateway and the kernel with one release of pyroute2, and replay them with another one.

The library only encodes and decodes messages. If a release encodes the same bytes and decodes the same values, the kernel and the
engine cannot distinguish it from the release that the tests ran with.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._address_messages import read_address
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._codec import Codec, Decoded
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._link_messages import read_link
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._routing_messages import read_route, read_rule

CLASSES = ("link", "address", "route", "rule")
Said = tuple[str, bytes]  # a message class; the other arguments of Codec.encode, pickled
Heard = tuple[str, bytes]


class Conversation:
    """The distinct messages: the bytes that were sent, and the values that were decoded from received bytes."""

    def __init__(self) -> None:
        """Create an empty conversation."""
        self.said: dict[Said, bytes] = {}
        self.heard: dict[Heard, str] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the messages of all codecs in this context."""
        encode, decode = Codec.encode, Codec.decode

        def listen_to_encode(codec: Codec, message_class: Any, *rest: Any) -> bytes:
            said = (_name(codec, message_class), pickle.dumps(rest))
            self.said[said] = encode(codec, message_class, *rest)
            return self.said[said]

        def listen_to_decode(codec: Codec, message_class: Any, data: bytes) -> Decoded:
            name = _name(codec, message_class)
            if (name, data) not in self.heard:
                self.heard[name, data] = meaning(name, decode(codec, message_class, data), data)
            return decode(codec, message_class, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Codec, "encode", listen_to_encode)
            patch.setattr(Codec, "decode", listen_to_decode)
            yield

    def write(self, path: Path) -> None:
        """Save the conversation for read."""
        path.write_bytes(pickle.dumps((self.said, self.heard)))

    @classmethod
    def read(cls, path: Path) -> Conversation:
        """Load a saved conversation."""
        found = cls()
        found.said, found.heard = pickle.loads(path.read_bytes())
        return found

    def misunderstood(self, codec: Codec) -> Iterator[str]:
        """Return the messages that this codec encodes or decodes differently."""
        for (name, pickled), data in self.said.items():
            rest = pickle.loads(pickled)
            written = codec.encode(getattr(codec, name), *rest)
            if written != data:
                yield f"{name} {rest}\n  is      {written.hex()}\n  and was {data.hex()}"
        for (name, data), expected in self.heard.items():
            found = meaning(name, codec.decode(getattr(codec, name), data), data)
            if found != expected:
                yield f"{name} {data.hex()}\n  is      {found}\n  and was {expected}"


def _name(codec: Codec, message_class: Any) -> str:
    return next(name for name in CLASSES if getattr(codec, name) is message_class)


def meaning(name: str, message: Decoded, data: bytes) -> str:
    """Return all values that the gateway reads from a message."""
    if name == "link":
        return repr(read_link(message))
    if name == "address":
        return repr((message["index"], read_address(message)))
    if name == "rule":
        return repr(read_rule(message, "NETNS"))
    return repr(read_route(message, data, "NETNS", str))


def main(path: str) -> None:
    """Print the differences of the requested pyroute2 release."""
    codec = Codec()
    place, expected = str(sys.modules[codec.link.__module__].__file__), os.environ["EXPECTED_PYROUTE2"]
    if not place.startswith(expected):
        sys.exit(f"{place} is not in {expected}")
    differing = list(Conversation.read(Path(path)).misunderstood(codec))
    if differing:
        sys.exit("\n".join([f"{len(differing)} messages differ", *differing[:5]]))


if __name__ == "__main__":
    main(*sys.argv[1:])
