# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may write, what becomes of it, and every sentence that says no."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import KINDS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import Addresses
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Boolean, Choice, SetOf, Text, Type
from ansible_collections.patchbay.netdev.plugins.module_utils._values._ip import Ip, Network, ip_interface
from ansible_collections.patchbay.netdev.plugins.module_utils._values._mac import Mac
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import (
    LINK_GROUP,
    TABLE,
    AltName,
    LinkName,
    Reference,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Fwmark, Integer, Mask, Range, Seconds
from ansible_collections.patchbay.netdev.plugins.module_utils._values._sysctls import Sysctls

COLOURS = Choice({"red": 1, "green": 4})

NORMAL_FORMS: list[tuple[Type, Any, Any]] = [
    (Boolean(), True, True),
    (COLOURS, "green", "green"),
    (Integer(1, 3), 1, 1),
    (Integer(1, 3), 3, 3),
    (Integer(-1, 3), -1, -1),
    (Text(5), "", ""),
    (Text(5), "ab\nc", "ab\nc"),
    (Text(5), "ünï", "ünï"),
    (LinkName(), "mv0", "mv0"),
    (LinkName(), "a.b-c@d_e", "a.b-c@d_e"),
    (LinkName(), "fifteen-bytes-x", "fifteen-bytes-x"),
    (LinkName(empty=True), "", ""),
    (AltName(), "telephone in room 7/b", "telephone in room 7/b"),
    (AltName(), "x" * 127, "x" * 127),
    (Mac(), "00:16:3e:11:11:0f", "00:16:3e:11:11:0f"),
    (Mac(), "00:16:3E:11:11:0F", "00:16:3e:11:11:0f"),
    (Mac(), "00-16-3E-11-11-0F", "00:16:3e:11:11:0f"),
    (Mac(), "0016.3e11.110f", "00:16:3e:11:11:0f"),
    (Mac(), "00163E11110F", "00:16:3e:11:11:0f"),
    (Mac(), " 00:16:3e:11:11:0f\n", "00:16:3e:11:11:0f"),
    (Mac(), "001630111101", "00:16:30:11:11:01"),
    (SetOf(Mac()), [], ()),
    (SetOf(Mac()), ["00:16:3e:11:11:02", "00-16-3e-11-11-01", "0016.3e11.1102"], ("00:16:3e:11:11:01", "00:16:3e:11:11:02")),
    (SetOf(AltName()), ["b", "a", "b"], ("a", "b")),
    (SetOf(AltName(), maximum=2), ["b", "a", "b"], ("a", "b")),
    (LINK_GROUP, "7", 7),
    (LINK_GROUP, 7, 7),
    (LINK_GROUP, "0", 0),
    (LINK_GROUP, "voice", "voice"),
    (Sysctls(), {}, {}),
    (Sysctls(), {"ipv6.accept_ra": 2, "ipv4.arp_ignore": "1"}, {"ipv4.arp_ignore": 1, "ipv6.accept_ra": 2}),
    (Sysctls(), {"ipv4.arp_filter": True, "ipv6.autoconf": False}, {"ipv4.arp_filter": 1, "ipv6.autoconf": 0}),
    (Sysctls(), {"ipv6.use_tempaddr": -1}, {"ipv6.use_tempaddr": -1}),
    (Sysctls(), {"ipv4.not_in_the_table": -(1 << 31)}, {"ipv4.not_in_the_table": -(1 << 31)}),
]

NORMAL_FORMS += [
    (Seconds(0, 30), 15, 1500),
    (Seconds(0, 30), 0, 0),
    (Seconds(0, 30), 1.5, 150),
    (Seconds(0, 30), 0.29, 29),
    (Mask(0, 0xFFFF, never=0x7), 0xFFF8, 0xFFF8),
    (Mask(0, 0xFFFF, never=0x7), 0, 0),
]

NORMAL_FORMS += [
    (Ip(), "192.0.2.1", "192.0.2.1"),
    (Ip(), " 2001:DB8:0:0::1 ", "2001:db8::1"),
    (Ip(), "::ffff:c000:201", "::ffff:192.0.2.1"),
    (Network(), "192.0.2.0/24", "192.0.2.0/24"),
    (Network(), "192.0.2.1", "192.0.2.1/32"),
    (Network(), "2001:DB8::/32", "2001:db8::/32"),
    (Network(), "2001:db8::1", "2001:db8::1/128"),
    (Network(), "0.0.0.0/0", "0.0.0.0/0"),
    *((Network(), word, "default") for word in ("default", "all", "any")),
    (Range(1, 65534), "80", (80, 80)),
    (Range(1, 65534), 80, (80, 80)),
    (Range(1, 65534), "80-65534", (80, 65534)),
    (Fwmark(), "0x1", (1, 0xFFFFFFFF)),
    (Fwmark(), 16, (16, 0xFFFFFFFF)),
    (Fwmark(), "0", (0, 0xFFFFFFFF)),
    (Fwmark(), "0x100/0xFF00", (0x100, 0xFF00)),
    (TABLE, "254", 254),
    (TABLE, "main", "main"),
]

NAME = "cannot be the name of a link"
REFUSALS: list[tuple[Type, Any, str]] = [
    *((Ip(), text, f"{text!r} is not an IP address") for text in ("", "x", "192.0.2", "192.0.2.256", "192.0.2.1/24", "2001:db8")),
    (Ip(), "fe80::1%eth0", "'fe80::1%eth0' is not an IP address. Omit leading zeros and the zone"),
    (Network(), "192.0.2.1/24", "192.0.2.1/24 has bits set beyond its prefix length. Use 192.0.2.0/24"),
    (Network(), "2001:db8::1/64", "2001:db8::1/64 has bits set beyond its prefix length. Use 2001:db8::/64"),
    (Network(), "192.0.2.0/33", "'192.0.2.0/33' has no prefix length between 0 and 32"),
    (Network(), "192.0.2.0/x", "'192.0.2.0/x' has no prefix length between 0 and 32"),
    (Network(), "x/24", "'x' is not an IP address"),
    (Range(1, 65534), "x", "'x' is neither a number nor a range such as 1000-1999"),
    (Range(1, 65534), "-5", "'-5' is neither a number nor a range such as 1000-1999"),
    (Range(1, 65534), "0-5", "0 is not between 1 and 65534"),
    (Range(1, 65534), "5-65535", "65535 is not between 1 and 65534"),
    (Range(1, 65534), "90-80", "'90-80' has its end before its start"),
    *((Fwmark(), text, f"{text!r} is not a mark such as 0x1 or 0x1/0xff") for text in ("x", "", "0x", "1/", "-1", "010")),
    (Fwmark(), "4294967296", "4294967296 is not between 0 and 4294967295"),
    (Fwmark(), "0x1/0", "0x1/0: a mask of 0 matches every mark. Omit it"),
    (Seconds(2, 30), 1.99, "1.99 is not between 2 and 30 seconds"),
    (Seconds(2, 30), 31, "31 is not between 2 and 30 seconds"),
    (Mask(0, 0xFFFF, never=0x7), 0xC, "0xc sets bits of 0x7, which the kernel reserves"),
    (Mask(0, 0xFFFF, never=0x7), 0x10000, "65536 is not between 0 and 65535"),
    (Integer(1, 3), 0, "0 is not between 1 and 3"),
    (Integer(1, 3), 4, "4 is not between 1 and 3"),
    (Text(5), "ünïc", "it has 6 bytes, but the kernel allows at most 5"),
    (Text(5), "a\0b", "it contains a NUL byte, where the kernel would cut it off"),
    (LinkName(), "", f"'' {NAME}: it is empty"),
    (LinkName(), "sixteen-bytes-xx", f"'sixteen-bytes-xx' {NAME}: it has 16 bytes, but the kernel allows at most 15"),
    (LinkName(), "fünfzehn-bytes-", f"'fünfzehn-bytes-' {NAME}: it has 16 bytes, but the kernel allows at most 15"),
    (LinkName(), ".", f"'.' {NAME}: it would be another directory in /sys and /proc"),
    (LinkName(), "..", f"'..' {NAME}: it would be another directory in /sys and /proc"),
    *(
        (
            LinkName(),
            name,
            f"'{name}' {NAME}: the kernel reserves it for the settings of all links or of new ones (/proc/sys/net/ipv4/conf)",
        )
        for name in ("all", "default")
    ),
    (LinkName(), "a%db", f"'a%db' {NAME}: the kernel treats \"%\" as a template and would create another name"),
    (LinkName(), "a/b", f"'a/b' {NAME}: the kernel refuses \"/\""),
    (LinkName(), "a:b", f"'a:b' {NAME}: the kernel refuses \":\""),
    (LinkName(), "a b", f"'a b' {NAME}: it contains white space"),
    (LinkName(), "a\tb", f"'a\\tb' {NAME}: it contains white space"),
    (LinkName(), "a\x7fb", f"'a\\x7fb' {NAME}: it contains a control character"),
    (LinkName(), "a\x01b", f"'a\\x01b' {NAME}: it contains a control character"),
    (
        LinkName(empty=True),
        "all",
        f"'all' {NAME}: the kernel reserves it for the settings of all links or of new ones (/proc/sys/net/ipv4/conf)",
    ),
    (AltName(), "", "'' cannot be an alternative name: it is empty or contains a control character"),
    (AltName(), "a\nb", "'a\\nb' cannot be an alternative name: it is empty or contains a control character"),
    (AltName(), "x" * 128, "it has 128 bytes, but the kernel allows at most 127"),
    *(
        (Mac(), text, f"{text!r} is not a MAC address such as 00:16:3e:11:11:01")
        for text in (
            "",
            "00:16:3e:11:11",
            "00:16:3e:11:11:01:02",
            "00:16:3e:11:11:0g",
            "00:16-3e:11:11:01",
            "0:16:3e:11:11:1",
            "0016:3e11:1101",
            "hello",
        )
    ),
    (Mac(), "00:00:00:00:00:00", "00:00:00:00:00:00 is not a valid MAC address"),
    *(
        (Mac(), text, f"{text} is a multicast address (the lowest bit of its first octet is set). Set a unicast address")
        for text in ("01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff")
    ),
    (SetOf(Mac()), ["00:16:3e:11:11:01", "hello"], "'hello' is not a MAC address such as 00:16:3e:11:11:01"),
    (SetOf(AltName(), maximum=2), ["a", "b", "c"], "it has 3 entries, more than 2"),
    (LINK_GROUP, "4294967296", "4294967296 is not between 0 and 4294967295"),
    *(
        (Sysctls(), {key: 1}, f"{key!r} is not a per-link setting such as ipv4.arp_ignore or ipv6.accept_ra")
        for key in ("arp_ignore", "net.ipv4.conf.all.arp_ignore", "ipv5.arp_ignore", "ipv4.../../x", "ipv4.", "ipv4.a/b")
    ),
    (
        Sysctls(),
        {"ipv6.addr_gen_mode": 1},
        "ipv6.addr_gen_mode cannot be set here: set the option address_generation_mode instead",
    ),
    (
        Sysctls(),
        {"ipv6.stable_secret": 1},
        "ipv6.stable_secret cannot be set here: its value is a secret and no integer. Set it with another tool",
    ),
    (Sysctls(), {"ipv4.mc_forwarding": 1}, "ipv4.mc_forwarding cannot be set here: the kernel sets it itself. Omit it"),
    (Sysctls(), {"ipv6.mc_forwarding": 1}, "ipv6.mc_forwarding cannot be set here: the kernel sets it itself. Omit it"),
    *(
        (Sysctls(), {"ipv4.arp_ignore": value}, f"ipv4.arp_ignore requires an integer, not {value!r}")
        for value in (None, "", "yes", "0x1", 1.5, "1 ", [1], {"a": 1})
    ),
    (Sysctls(), {"ipv4.arp_ignore": 9}, "ipv4.arp_ignore: 9 is not between 0 and 8"),
    (Sysctls(), {"ipv6.accept_ra": -1}, "ipv6.accept_ra: -1 is not between 0 and 2"),
    (Sysctls(), {"ipv4.medium_id": 1 << 31}, "ipv4.medium_id: 2147483648 is not between -2147483648 and 2147483647"),
]


@pytest.mark.parametrize(("type_", "written", "normal"), NORMAL_FORMS)
def test_normal_form(type_: Type, written: Any, normal: Any) -> None:
    """The same for every notation, and for what stands in a result."""
    found = type_.parse(written)
    assert found == normal
    assert type(found) is type(normal)
    assert type_.parse(type_.returned(found)) == normal


@pytest.mark.parametrize(("type_", "written", "sentence"), REFUSALS)
def test_refusal(type_: Type, written: Any, sentence: str) -> None:
    """The whole sentence."""
    with pytest.raises(InvalidValue) as caught:
        type_.parse(written)
    assert str(caught.value) == sentence


def test_settings_come_sorted() -> None:
    """So that a plan says them in one order, whatever that of the task."""
    assert list(Sysctls().parse({"ipv6.accept_ra": 1, "ipv4.arp_ignore": 1, "ipv4.arp_filter": 1})) == [
        "ipv4.arp_filter",
        "ipv4.arp_ignore",
        "ipv6.accept_ra",
    ]


@pytest.mark.parametrize("address", ["52:54:00:12:34:56", "10:10:10:10:10:10", "2:00:00:00:00:01", "98:54:00:12:34:56"])
def test_mac_that_yaml_reads_as_a_number(address: str) -> None:
    """YAML 1.1 has numbers to the base of sixty: the hint says what was written. An octet may be written with one digit."""
    number = yaml.safe_load(address)
    assert isinstance(number, int)
    with pytest.raises(InvalidValue) as caught:
        Mac().parse(number)
    padded = ":".join(part.zfill(2) for part in address.split(":"))
    assert str(caught.value) == f"{number} is a number, as YAML reads an unquoted {padded}. Quote it"


@pytest.mark.parametrize("type_", [row.type for kind in KINDS.values() for row in kind.attributes])
def test_equal_values_do_not_differ(type_: Type) -> None:
    """Of no type in the table."""
    value: Any = {Sysctls: {"ipv4.arp_ignore": 1}, Addresses: (Address("192.0.2.1", 24, 4),)}.get(type(type_), ("a",))
    assert type_.difference(value, value) is None


def test_difference() -> None:
    """What is, and what is to be; what is not known differs from everything, even from nothing."""
    assert Mac().difference("a", "b") == ("a", "b")
    assert Text(5).difference(None, "") == (None, "")
    assert Boolean().difference(None, False) == (None, False)
    assert SetOf(AltName()).difference(("a",), ()) == (("a",), ())
    assert Integer(0, 5).difference(0, 0) is None


def test_difference_of_settings() -> None:
    """Only those that are written count, and only those that differ are said."""
    current = {"ipv4.arp_ignore": 1, "ipv4.arp_filter": 0, "ipv4.rp_filter": 1}
    assert Sysctls().difference(current, {"ipv4.arp_ignore": 1, "ipv4.arp_filter": 1}) == (
        {"ipv4.arp_filter": 0},
        {"ipv4.arp_filter": 1},
    )
    assert Sysctls().difference(current, {"ipv4.arp_ignore": 1}) is None
    assert Sysctls().difference(None, {"ipv4.arp_ignore": 1}) == ({"ipv4.arp_ignore": None}, {"ipv4.arp_ignore": 1})
    assert Sysctls().difference(None, {}) is None


@pytest.mark.parametrize(
    ("type_", "value", "said"),
    [
        (Range(1, 9), (1, 1), "1"),
        (Range(1, 9), (1, 2), "1-2"),
        (Fwmark(), (16, 0xFFFFFFFF), "0x10"),
        (Fwmark(), (16, 0xFF), "0x10/0xff"),
        (Boolean(), True, "true"),
        (Boolean(), False, "false"),
        (Integer(0, 5), 0, "0"),
        (Text(5), "", '""'),
        (Text(50), "for the telephones", "for the telephones"),
        (SetOf(AltName()), (), "[]"),
        (SetOf(AltName()), ("a", "b"), "[a, b]"),
        (Reference(), LinkKey("", "eth0"), "eth0"),
        (Reference(), LinkKey("guest", "eth0"), "eth0 in netns guest"),
        (Sysctls(), {"ipv4.arp_ignore": 1, "ipv6.accept_ra": None}, "ipv4.arp_ignore 1, ipv6.accept_ra unknown"),
    ],
)
def test_said(type_: Type, value: Any, said: str) -> None:
    """As it stands in a sentence."""
    assert type_.describe(value) == said


@pytest.mark.parametrize(
    ("type_", "value", "returned"),
    [
        (SetOf(AltName()), ("a", "b"), ["a", "b"]),
        (Reference(), LinkKey("guest", "eth0"), "eth0"),
        (Reference(), None, None),
        (Sysctls(), {"ipv4.arp_ignore": 1}, {"ipv4.arp_ignore": 1}),
        (Mac(), "00:16:3e:11:11:01", "00:16:3e:11:11:01"),
    ],
)
def test_returned(type_: Type, value: Any, returned: Any) -> None:
    """As it stands in a result, which is JSON."""
    found = type_.returned(value)
    assert found == returned
    assert type(found) is type(returned)


@pytest.mark.parametrize(
    ("type_", "argument"),
    [
        (Boolean(), {"type": "bool"}),
        (COLOURS, {"type": "str", "choices": ["red", "green"]}),
        (Integer(0, 5), {"type": "int"}),
        (Text(5), {"type": "str"}),
        (Mac(), {"type": "str"}),
        (SetOf(Mac()), {"type": "list", "elements": "str"}),
        (Sysctls(), {"type": "dict"}),
    ],
)
def test_argument(type_: Type, argument: dict[str, Any]) -> None:
    """As it stands in an argument specification."""
    assert type_.argument() == argument


@pytest.mark.parametrize(
    ("written", "found"), [("192.0.2.1/24", ("192.0.2.1", 24)), (" 2001:DB8:0::1/64\n", ("2001:db8::1", 64))]
)
def test_interface(written: str, found: tuple[str, int]) -> None:
    """An address of a link, with its prefix length; what it refuses is in test_addresses.py."""
    assert ip_interface(written) == found


def test_words_and_numbers() -> None:
    """Both ways; a number that the kernel has and the table has not is not known."""
    assert [COLOURS.decoded(code) for code in (1, 4, 2, None)] == ["red", "green", None, None]
    assert [COLOURS.encoded(word) for word in ("red", "green")] == [1, 4]
    assert [Boolean().encoded(value) for value in (True, False)] == [1, 0]
    assert [Boolean().decoded(number) for number in (0, 1, 255)] == [False, True, True]


def test_choices_that_only_the_kernel_makes() -> None:
    """They are read, but nobody may write them."""
    some = Choice({"off": 0, "between": 1, "on": 2}, settable=("off", "on"))
    assert some.argument() == {"type": "str", "choices": ["off", "on"]}
    assert some.decoded(1) == "between"


def test_seconds_in_a_result() -> None:
    """As they are written; the kernel and the engine count hundredths."""
    assert [Seconds(0, 30).returned(value) for value in (0, 50, 1500)] == [0.0, 0.5, 15.0]
