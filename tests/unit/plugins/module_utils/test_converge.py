# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop, on the gateway in memory: every planner case is applied, and every request of it fails once."""

from __future__ import annotations

import copy
import errno
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import Engine
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, DesiredRoute, LinkPolicy
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import (
    ApplyFailed,
    InvalidValue,
    Refused,
    RequestFailed,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE, Route, RouteKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddRoute,
    DeleteFile,
    NewLink,
    RemoveLink,
    RemoveLinks,
    Request,
    SetLink,
    StartClient,
    WriteFile,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    DADFAILED,
    DHCP,
    NODAD,
    RA,
    SECONDARY,
    STATIC,
    TENTATIVE,
    owner,
)
from ansible_collections.patchbay.netdev.tests.unit.cases import Case, load
from ansible_collections.patchbay.netdev.tests.unit.fake_gateway import FakeGateway
from ansible_collections.patchbay.netdev.tests.unit.operation_contracts import different, routed_differently

BY_ITSELF = (2, 9)  # linux/rtnetlink.h: routes of the kernel, and of router advertisements
STATE_BITS = SECONDARY | TENTATIVE | DADFAILED
ONE, TWO = "00:16:3e:11:11:01", "00:16:3e:11:11:02"


# No kernel is in these states, or none that knows all that is asked of it.
UNREAL = {
    "update: a link whose lower device is not known",
    "update: an attribute that this kernel lacks is set, and verification detects it",
}
CASES = load()
# Where a route stands, no second one is put: of two that were deleted, only one can come back.
TWO_ROUTES = "routes: delete both routes with one key"
PLANNED = {title: case for title, case in CASES.items() if case.outcome == "plan" and title not in UNREAL}


class Failing(FakeGateway):
    """Refuses one request; the place of the first is 0."""

    fails_at = -1
    code = errno.ENOMEM

    def execute(self, request: Request) -> None:
        """As all gateways, but for that one."""
        if len(self.executed) == self.fails_at:
            self.executed.append(request)
            raise RequestFailed(f"the kernel refused to {request}: no memory", self.code, "no memory")
        super().execute(request)


class Forgetful(FakeGateway):
    """Acknowledges an attribute and does nothing: so does a kernel that does not know it yet."""

    unknown = ""

    def execute(self, request: Request) -> None:
        """Leaves it out."""
        if isinstance(request, (NewLink, SetLink)):
            known = {name: value for name, value in request.attributes.items() if name != self.unknown}
            request = replace(request, attributes=known)
        super().execute(request)


def everything(gateway: FakeGateway) -> tuple[State, dict[Any, Any]]:
    """All that the gateway holds, and what lives in it by key, but for what the kernel or a router makes again."""
    keys = frozenset(gateway.devices)
    state = gateway.observe(Scope(keys, settings=keys, routing=frozenset(gateway.all_namespaces())))
    living = {key: {"settings": state.settings[key]} for key in keys}
    for key in keys:
        lasting = [item for item in state.contents_of(key).addresses if owner(item) in (STATIC, DHCP)]
        living[key]["addresses"] = sorted((replace(item, flags=item.flags & ~STATE_BITS) for item in lasting), key=str)
    for key, some in {**state.routes, **state.rules}.items():
        lasting = [
            item for item in some if not (isinstance(item, Route) and (item.protocol in BY_ITSELF or not item.is_representable))
        ]
        if lasting:
            living[key] = sorted(lasting, key=repr)
    return state, living


def changed(before: tuple[State, dict[Any, Any]], gateway: FakeGateway) -> list[str]:
    """What is not as it was."""
    now, living = everything(gateway)
    was, lines = before[1], different(before[0], now) + different(now, before[0])
    keys = {**was, **living}
    return lines + [f"{key}: {living.get(key)}, not {was.get(key)}" for key in keys if living.get(key) != was.get(key)]


def want(*entries: Any, persist: str | None = None, **attributes: Any) -> Sequence[DesiredLink]:
    """Macvlans as a task has them, by name, all with these attributes."""
    lower = {"lower_device": LinkKey(HERE, "eth0")}
    return [DesiredLink(LinkKey(HERE, name), MACVLAN.name, True, {**lower, **attributes}, persist=persist) for name in entries]


def holding(kind: type[FakeGateway], case: Case) -> Any:
    """A gateway in the state of a case, with all the namespaces that its task names."""
    return kind.holding(case.state(), {item.key.netns for item in case.items()})


def eth0(kind: type[FakeGateway] = FakeGateway) -> Any:
    """A gateway with one link, and a namespace."""
    gateway = kind(["guest"])
    gateway.add("eth0")
    return gateway


# --- check mode, apply, once more ---


@pytest.mark.parametrize("case", PLANNED.values(), ids=PLANNED)
def test_plan_without_apply_touches_nothing(case: Case) -> None:
    """The same sentences as the planner has for what was observed."""
    gateway = holding(FakeGateway, case)
    before = copy.deepcopy(gateway.devices)
    result = converge(gateway, case.items(), apply=False)
    assert [str(operation) for operation in result.plan.operations] == case.expected
    assert result.after is result.plan.after
    assert gateway.executed == []
    assert gateway.devices == before


@pytest.mark.parametrize("case", PLANNED.values(), ids=PLANNED)
def test_apply_leads_to_what_was_predicted(case: Case) -> None:
    """The operations are those of check mode, and afterwards there is nothing to do."""
    gateway = holding(FakeGateway, case)
    items = case.items()
    checked = converge(gateway, items, apply=False)
    applied = converge(gateway, items, apply=True)
    assert [str(operation) for operation in applied.plan.operations] == case.expected
    assert applied.plan.warnings == checked.plan.warnings == case.warnings
    seen = {link.key.netns for link in applied.after}
    predicted = State(link for link in checked.after if link.key.netns in seen)
    # settings are observed only where they were written
    assert different(predicted, applied.after, frozenset((link.key.name, "sysctls") for link in predicted)) == []
    if {netns for netns in seen if netns} <= {link.key.netns for link in checked.plan.before}:
        assert routed_differently(checked.after, applied.after) == []
    sent = len(gateway.executed)
    again = converge(gateway, items, apply=True)
    assert again.plan.operations == ()
    assert len(gateway.executed) == sent


def test_nothing_to_do_sends_nothing() -> None:
    """And `after` is what was observed."""
    gateway = eth0()
    gateway.execute(NewLink(LinkKey(HERE, "mv0"), "macvlan", {"lower_device": LinkKey(HERE, "eth0"), "mode": "bridge"}))
    gateway.executed.clear()
    result = converge(gateway, want("mv0", mode="bridge"), apply=True)
    assert (result.plan.operations, gateway.executed) == ((), [])
    assert result.after.get(LinkKey(HERE, "mv0")).get("address")


def test_items_are_resolved() -> None:
    """Names of groups to numbers, before anything is planned."""
    gateway = eth0()
    result = converge(gateway, want("mv0", group="voice"), apply=True)
    assert result.items[0].attributes["group"] == 7
    assert result.after.get(LinkKey(HERE, "mv0")).get("group") == 7


@pytest.mark.parametrize("apply", [True, False])
def test_refusal_comes_before_anything_is_done(apply: bool) -> None:
    """The first of two could have been made."""
    gateway = eth0()
    items = [*want("mv0"), *want("mv1", mtu=9000)]
    with pytest.raises(Refused, match=r"^mv1: mtu 9000 is above"):
        converge(gateway, items, apply)
    with pytest.raises(InvalidValue):
        converge(gateway, [*want("mv0", mode="bridge"), *want("mv0", mode="vepa")], apply)
    with pytest.raises(Refused, match=r"^There is no network namespace nowhere"):
        converge(gateway, [*want("mv0"), DesiredLink(LinkKey("nowhere", "mv1"), "macvlan", True, {})], apply)
    assert gateway.executed == []


# --- failures ---


UNDONE = {title: case for title, case in PLANNED.items() if title != TWO_ROUTES}


@pytest.mark.parametrize("case", UNDONE.values(), ids=UNDONE)
def test_everything_is_undone(case: Case) -> None:
    """Whichever request fails: all links, addresses, routes and settings are as they were, and the error says so."""
    for place in itertools.count():
        gateway = holding(Failing, case)
        gateway.fails_at = place
        before = everything(gateway)
        try:
            converge(gateway, case.items(), apply=True)
        except ApplyFailed as error:
            assert changed(before, gateway) == [], place
            check_report(error, case, gateway.executed[place], before[0])
        else:  # several deletions that fail together are tried one by one
            tried = len(gateway.executed) > place and isinstance(gateway.executed[place], RemoveLinks)
            assert len(gateway.executed) == place or tried, "it failed, and nobody noticed"
            if not tried:
                return


@pytest.mark.parametrize("place", [1, 2, 3])
def test_deletions_one_by_one(place: int) -> None:
    """A batch that is refused is deleted singly, and whichever of these is refused: what went before comes back."""
    gateway = eth0(Failing)
    names = ("mv0", "mv1", "mv2")
    converge(gateway, want(*names, mode="bridge", alias="mine"), apply=True)
    before = everything(gateway)
    sent = len(gateway.executed)
    gateway.fails_at = sent + place

    def execute(request: Request) -> None:
        if isinstance(request, RemoveLinks):
            gateway.executed.append(request)
            raise RequestFailed(f"the kernel refused to {request}: no memory", errno.ENOMEM, "no memory")
        Failing.execute(gateway, request)

    gateway.execute = execute
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, [replace(item, present=False) for item in want(*names)], apply=True)
    assert str(caught.value) == (
        f"delete {names[place - 1]} failed: the kernel refused to delete {names[place - 1]}: no memory. "
        "All changes were rolled back"
    )
    assert [type(request) for request in gateway.executed[sent : sent + place + 1]] == [RemoveLinks, *[RemoveLink] * place]
    assert len(caught.value.undone) == place - 1
    assert changed(before, gateway) == []


def test_second_route_is_not_undone() -> None:
    """The error names it."""
    gateway = holding(Failing, CASES[TWO_ROUTES])
    gateway.fails_at = 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, CASES[TWO_ROUTES].items(), apply=True)
    assert caught.value.not_undone == ["route to 203.0.113.0/24 differs from before"]


def check_report(error: ApplyFailed, case: Case, failed: Request, before: State) -> None:
    """What failed, in which operation, and that all was undone.

    But for what a router announces, and routes with more than one next hop: these cannot be written again, so they are named.
    """
    text = str(error)
    assert f" failed: the kernel refused to {failed}: no memory. " in text
    assert any(text.startswith(f"{sentence} failed: ") for sentence in case.expected)
    assert text.endswith("; ".join(error.not_undone) or "All changes were rolled back")
    lost = {
        f"{item} on {link.key} is absent (was present)"
        for link in before
        for item in link.get("addresses") or ()
        if owner(item) == RA
    }
    lost |= {
        f"{route.key} is absent (was present)" for some in before.routes.values() for route in some if not route.is_representable
    }
    assert set(error.not_undone) <= (lost if case.warnings else set())


def present(case: Case) -> bool:
    """Whether it wants a link, and says nothing of groups."""
    entries = case.desired.get("macvlan", ())
    return any(entry.get("state") != "absent" for entry in entries) and "group" not in str((case.current, case.desired))


PRESENT = {title: case for title, case in PLANNED.items() if present(case)}


@pytest.mark.parametrize("case", PRESENT.values(), ids=PRESENT)
def test_everything_is_undone_when_the_kernel_did_not_keep_it(case: Case) -> None:
    """The same for a plan that was done, but of which the kernel did not keep one attribute more."""
    item = next(item for item in case.items() if item.present)
    gateway = holding(Forgetful, case)
    gateway.unknown = "group"
    before = everything(gateway)
    with pytest.raises(ApplyFailed, match=r"^the kernel acknowledged all requests but did not apply this: "):
        converge(gateway, [*case.items(), replace(item, attributes={"group": 7}, origin="")], apply=True)
    assert changed(before, gateway) == []


def test_states_that_are_left_out_are_still_there() -> None:
    """By the same titles."""
    assert CASES.keys() >= UNREAL


def test_error_says_what_failed_and_what_was_undone() -> None:
    """Newest first."""
    gateway = eth0(Failing)
    gateway.fails_at = 2
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", "mv1", "mv2", mode="bridge"), apply=True)
    assert str(caught.value) == (
        "create mv2: macvlan on eth0, mode bridge failed: the kernel refused to create mv2: no memory. "
        "All changes were rolled back"
    )
    assert caught.value.undone == ["delete mv1", "delete mv0"]
    assert caught.value.not_undone == []
    assert isinstance(caught.value.__cause__, RequestFailed)


def test_client_that_fails_to_start() -> None:
    """What it has left goes: its files, and what it had begun."""

    class Dies(FakeGateway):
        """Whose clients end at once."""

        def execute(self, request: Request) -> None:
            """Starts it, and says that it did not."""
            super().execute(request)
            if isinstance(request, StartClient):
                raise RequestFailed("it does not run", 0, "")

    gateway = eth0(Dies)
    items = [DesiredLink(LinkKey(HERE, "eth0"), None, True, {}, dhcp4=Dhcp4())]
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, items, apply=True)
    assert caught.value.undone == ["stop the DHCP client of eth0"]
    assert gateway.clients == {}


def test_failure_in_the_middle_of_an_operation() -> None:
    """A link that was made, but not given its alternative name, goes."""
    gateway = eth0(Failing)
    gateway.fails_at = 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", altnames=("a",)), apply=True)
    assert str(caught.value) == (
        "create mv0: macvlan on eth0, altnames [a] failed: the kernel refused to add altname a to mv0: no memory. "
        "All changes were rolled back"
    )
    assert caught.value.undone == ["delete mv0"]
    assert LinkKey(HERE, "mv0") not in gateway.devices


def test_half_of_a_set_request_is_undone() -> None:
    """The kernel keeps what it did before it refused the rest: a sibling out of sight has the MAC, so the link cannot come up."""
    gateway = eth0()
    gateway.execute(NewLink(LinkKey(HERE, "mv0"), "macvlan", {"lower_device": LinkKey(HERE, "eth0"), "address": ONE}))
    unseen = {"lower_device": LinkKey(HERE, "eth0"), "address": TWO, "admin_state": "up"}
    gateway.execute(NewLink(LinkKey("guest", "mv0"), "macvlan", unseen))
    before = everything(gateway)
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", mode="bridge", address=TWO), apply=True)
    assert changed(before, gateway) == []
    assert str(caught.value) == (
        f"set mv0: mode vepa -> bridge, address {ONE} -> {TWO} failed: "
        "the kernel refused to set mode, address of mv0: Address already in use. "
        "A link on the same lower device, in a namespace that was not read, is up with the same MAC address. "
        "All changes were rolled back"
    )
    assert caught.value.undone == [f"set mv0: mode bridge -> vepa, address {TWO} -> {ONE}"]


def test_what_cannot_be_undone_is_said() -> None:
    """The request that would take it back is refused as well."""

    class Stubborn(Failing):
        """Deletes nothing."""

        def execute(self, request: Request) -> None:
            """Refuses every deletion."""
            if isinstance(request, RemoveLink):
                raise RequestFailed(f"the kernel refused to {request}: busy", errno.EBUSY, "busy")
            super().execute(request)

    gateway = eth0(Stubborn)
    gateway.fails_at = 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", "mv1"), apply=True)
    assert str(caught.value) == (
        "create mv1: macvlan on eth0 failed: the kernel refused to create mv1: no memory. "
        "The changes were rolled back, except for: the kernel refused to delete mv0: busy; mv0 is present (was absent)"
    )
    assert caught.value.not_undone == ["the kernel refused to delete mv0: busy", "mv0 is present (was absent)"]


def test_attribute_that_could_not_be_taken_back_is_said() -> None:
    """With what it is and what it was."""

    class OneWay(Failing):
        """Takes every mode but the old one."""

        def execute(self, request: Request) -> None:
            """Refuses the way back."""
            if isinstance(request, SetLink) and request.attributes.get("mode") == "vepa":
                raise RequestFailed(f"the kernel refused to {request}: no", errno.EINVAL, "no")
            super().execute(request)

    gateway = eth0(OneWay)
    converge(gateway, want("mv0"), apply=True)
    gateway.fails_at = len(gateway.executed) + 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", "mv1", mode="bridge"), apply=True)
    assert caught.value.not_undone == ["the kernel refused to set mode of mv0: no", "mv0: mode is bridge (was vepa)"]


def test_state_that_cannot_be_read_after_a_failure_is_said() -> None:
    """Then nobody knows whether all was undone."""

    class Blind(Failing):
        """Reads nothing any more once a request has failed."""

        def observe(self, scope: Scope) -> State:
            """As all gateways, before."""
            if len(self.executed) > self.fails_at:
                raise RequestFailed("the links kept changing while they were read", errno.EINTR, "interrupted")
            return super().observe(scope)

    gateway = eth0(Blind)
    gateway.fails_at = 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", "mv1"), apply=True)
    assert caught.value.not_undone == ["the links kept changing while they were read"]
    assert caught.value.undone == ["delete mv0"]


def test_what_others_changed_meanwhile_is_said() -> None:
    """An undone plan is compared with what was there before."""

    class Meddled(Failing):
        """Someone deletes a link and takes its name while the plan runs."""

        def execute(self, request: Request) -> None:
            """After the first request."""
            super().execute(request)
            if len(self.executed) == 1:
                del self.devices[LinkKey(HERE, "mv0")]
                self.add("mv0", kind="bridge")

    gateway = eth0(Meddled)
    gateway.devices.clear()
    gateway.add("eth0")
    FakeGateway.execute(gateway, NewLink(LinkKey(HERE, "mv0"), "macvlan", {"lower_device": LinkKey(HERE, "eth0")}))
    gateway.executed.clear()
    gateway.fails_at = 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", "mv1", mode="bridge"), apply=True)
    assert "mv0: kind is bridge (was macvlan)" in caught.value.not_undone


def test_verification() -> None:
    """The kernel says OK and does nothing: the task fails, names it, and nothing is left of it."""
    gateway = eth0(Forgetful)
    gateway.unknown = "bc_queue_len"
    before = everything(gateway)
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", bc_queue_len=5, mode="bridge"), apply=True)
    assert changed(before, gateway) == []
    assert str(caught.value) == (
        "the kernel acknowledged all requests but did not apply this: set mv0: bc_queue_len 1000 -> 5. "
        "All changes were rolled back"
    )
    assert caught.value.undone == ["delete mv0"]


def test_verification_of_a_link_that_others_replaced() -> None:
    """What is there now cannot even be planned with."""

    class Replaced(FakeGateway):
        """Someone puts a bridge in the place of a new link."""

        def execute(self, request: Request) -> None:
            """Right after it was made."""
            super().execute(request)
            if isinstance(request, NewLink):
                del self.devices[request.key]
                self.add(request.key.name, kind="bridge")

    with pytest.raises(ApplyFailed) as caught:
        converge(eth0(Replaced), want("mv0"), apply=True)
    assert "mv0: the link with this name is a bridge, not a macvlan, and is not changed" in str(caught.value)


def test_verification_of_a_change() -> None:
    """What was kept is taken back with it."""
    gateway = eth0(Forgetful)
    gateway.unknown = "nodst"
    converge(gateway, want("mv0", mode="vepa"), apply=True)
    before = everything(gateway)
    with pytest.raises(ApplyFailed, match=r"did not apply this: set mv0: nodst false -> true\. All"):
        converge(gateway, want("mv0", mode="private", nodst=True), apply=True)
    assert changed(before, gateway) == []


def test_verification_of_what_creation_fixes() -> None:
    """A kernel that ignores it would ignore it again: there is no advice to have the link created once more."""
    gateway = eth0(Forgetful)
    gateway.unknown = "num_rx_queues"
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", num_rx_queues=2), apply=True)
    assert str(caught.value) == (
        "the kernel acknowledged all requests but did not apply this: "
        "mv0: num_rx_queues 1 -> 2 (this kernel ignores it). All changes were rolled back"
    )
    assert LinkKey(HERE, "mv0") not in gateway.devices


@pytest.mark.parametrize(
    ("request_", "code", "advice"),
    [
        ({"mode": "passthru"}, errno.EINVAL, "A macvlan or macvtap on eth0 in a namespace that was not read may exclude it"),
        (
            {"address": ONE, "admin_state": "up"},
            errno.EADDRINUSE,
            "A link on the same lower device, in a namespace that was not read",
        ),
        (
            {},
            errno.EBUSY,
            "Another driver receives from eth0, such as a bond, a team, Open vSwitch, or a macvlan or ipvlan in a namespace",
        ),
        ({}, errno.EOPNOTSUPP, "This kernel has no macvlan: try modprobe macvlan"),
        ({}, errno.EEXIST, "A link of that name was created by others at the same moment: run the task again"),
    ],
)
def test_advice(request_: dict[str, Any], code: int, advice: str) -> None:
    """macvlan gives no text of its own: what the errno may mean is said."""
    gateway = eth0(Failing)
    gateway.fails_at, gateway.code = 0, code
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", **request_), apply=True)
    assert f": no memory. {advice}" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "needs", "driver"),
    [("vlan", {"lower_device": LinkKey(HERE, "eth0"), "id": 5}, "8021q"), ("vrf", {"table": 10}, "vrf"), ("dummy", {}, "dummy")],
)
def test_advice_where_the_kernel_has_no_such_kind(kind: str, needs: dict[str, Any], driver: str) -> None:
    """The module that brings it is named."""
    gateway = eth0(Failing)
    gateway.fails_at, gateway.code = 0, errno.EOPNOTSUPP
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, [DesiredLink(LinkKey(HERE, "new0"), kind, True, needs)], apply=True)
    assert f": no memory. This kernel has no {kind}: try modprobe {driver}. All" in str(caught.value)


def test_advice_for_stable_secret() -> None:
    """Which needs a secret first."""
    gateway = eth0()
    with pytest.raises(ApplyFailed, match=r"stable_secret requires net\.ipv6\.conf\.LINK\.stable_secret to be set first"):
        converge(gateway, want("mv0", address_generation_mode="stable_secret"), apply=True)
    assert LinkKey(HERE, "mv0") not in gateway.devices


def test_recreation_of_a_link_whose_lower_device_is_out_of_reach() -> None:
    """It could be deleted, but not made again."""
    gateway = eth0()
    gateway.add("mv0", kind="macvlan", lower_device=LinkKey("(unnamed namespace 3)", "(link 5)"))
    before = copy.deepcopy(gateway.devices)
    item = DesiredLink(LinkKey(HERE, "mv0"), "macvlan", True, {"num_tx_queues": 2}, policy=LinkPolicy(recreate=True))
    with pytest.raises((Refused, ApplyFailed)):
        converge(gateway, [item], apply=True)
    assert gateway.devices == before


def test_what_lives_on_a_link_is_read_only_where_it_is_endangered() -> None:
    """It takes a dump of all addresses and routes."""

    class Watched(FakeGateway):
        """Remembers what was asked for."""

        scopes: list[Scope]

        def observe(self, scope: Scope) -> State:
            """As all gateways."""
            self.scopes = [*getattr(self, "scopes", []), scope]
            return super().observe(scope)

    gateway = eth0(Watched)
    converge(gateway, want("mv0", admin_state="up"), apply=True)
    assert not any(scope.settings or scope.routing for scope in gateway.scopes)
    converge(gateway, want("mv0", admin_state="down"), apply=True)
    read = [(scope.settings, scope.routing) for scope in gateway.scopes if scope.settings]
    assert set(read) == {(frozenset({LinkKey(HERE, "mv0")}), frozenset({HERE}))}


# --- what a plan affects beyond what the task names ---


def static(text: str) -> Address:
    """An address as somebody added it by hand."""
    ip, _slash, length = text.partition("/")
    return Address(ip, int(length), 6 if ":" in ip else 4, flags=NODAD if ":" in ip else 0)


def route(key: LinkKey, destination: str, **attributes: Any) -> Route:
    """A route by a link."""
    family = 6 if ":" in destination else 4
    return Route(RouteKey(key.netns, MAIN_TABLE, family, destination, 1024), {"type": "unicast", "link": key.name, **attributes})


def stacked() -> Any:
    """A VLAN in another namespace on eth0, a macvlan and another VLAN on that, and a macvlan on eth0: all with an address and
    routes, which nobody names."""
    gateway = eth0(Failing)
    lower = LinkKey(HERE, "eth0")
    outer = gateway.add("outer", "guest", "vlan", lower_device=lower, id=5)
    inner = gateway.add("inner", "guest", "vlan", lower_device=outer, id=6)
    mv0 = gateway.add("mv0", "guest", "macvlan", lower_device=lower)
    mv1 = gateway.add("mv1", "guest", "macvlan", lower_device=inner)
    for number, key in enumerate((outer, inner, mv0, mv1)):
        gateway.devices[key].settings.update({"ipv6.accept_ra": 0, "ipv4.arp_ignore": 1})
        gateway.devices[key].attributes["address_generation_mode"] = "none"
        for text in (f"192.0.2.{16 * number + 1}/28", f"2001:db8:{number}::1/64"):
            gateway.execute(AddAddress(key, static(text)))
        gateway.execute(AddRoute(route(key, f"198.51.100.{16 * number}/28", scope="link")))
        gateway.execute(AddRoute(route(key, f"2001:db8:1{number}::/64")))
        gateway.execute(AddRoute(route(key, f"2001:db8:2{number}::/64", gateway=f"2001:db8:{number}::9")))
    gateway.executed.clear()
    return gateway


@pytest.mark.parametrize("changes", [{"admin_state": "down"}, {"mtu": 1400}, {"mtu": 1279}, {"mtu": 1000}], ids=str)
def test_links_above_in_other_namespaces_are_rolled_back(changes: dict[str, Any]) -> None:
    """What sits on a lower device that goes down, or whose MTU shrinks, loses addresses and routes in namespaces nobody named."""
    gateway = stacked()
    before = everything(gateway)
    gateway.fails_at = 1
    items = [DesiredLink(LinkKey(HERE, "eth0"), None, True, changes), *want("mv9")]
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, items, apply=True)
    assert str(caught.value).startswith("create mv9: macvlan on eth0 failed: ")
    assert str(caught.value).endswith("All changes were rolled back")
    assert changed(before, gateway) == []


def test_prediction_of_links_above() -> None:
    """Check mode says what they lose."""
    gateway = stacked()
    result = converge(gateway, [DesiredLink(LinkKey(HERE, "eth0"), None, True, {"admin_state": "down"})], apply=False)
    after = {link.key.name: link for link in result.after if link.key.netns == "guest"}
    assert {name: after[name].get("admin_state") for name in ("outer", "inner", "mv0", "mv1")} == {
        "outer": "down",
        "inner": "down",
        "mv0": "up",
        "mv1": "up",
    }
    assert [str(address) for address in after["outer"].get("addresses")] == ["192.0.2.1/28"]
    assert result.after.routes_through(LinkKey("guest", "inner")) == []


def test_what_cannot_be_restored_on_links_above_is_named() -> None:
    """Their addresses are refused."""

    class Full(Failing):
        """Takes no addresses."""

        def execute(self, request: Request) -> None:
            """Refuses each."""
            if isinstance(request, AddAddress):
                raise RequestFailed(f"the kernel refused to {request}: no", errno.ENOBUFS, "no")
            super().execute(request)

    gateway = stacked()
    gateway.fails_at, gateway.__class__ = 1, Full
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, [DesiredLink(LinkKey(HERE, "eth0"), None, True, {"admin_state": "down"}), *want("mv9")], apply=True)
    assert "All changes were rolled back" not in str(caught.value)
    assert "2001:db8:0::1/64 on outer in netns guest is absent (was present)" in caught.value.not_undone
    assert "IPv6 route to 2001:db8:20::/64 in netns guest is absent (was present)" not in caught.value.not_undone


class Watched(FakeGateway):
    """Counts how often it is observed."""

    observed = 0

    def observe(self, scope: Scope) -> State:
        """As all gateways."""
        self.observed += 1
        return super().observe(scope)


def test_no_op_observes_once() -> None:
    """Whatever the task is about, and wherever the lower device is."""
    gateway = eth0(Watched)
    gateway.add("mv0", "guest", "macvlan", lower_device=LinkKey(HERE, "eth0"))
    gateway.clients[LinkKey(HERE, "eth0")] = Client(ClientKey(LinkKey(HERE, "eth0")), Dhcp4())
    for item in (
        DesiredLink(LinkKey("guest", "mv0"), "macvlan", True, {"admin_state": "up"}),
        DesiredLink(LinkKey("guest", "mv0"), "macvlan", True, {"lower_device": LinkKey(HERE, "eth0"), "addresses": ()}),
        DesiredLink(LinkKey(HERE, "eth0"), None, True, {"mtu": 1500}),
        DesiredLink(LinkKey(HERE, "eth9"), "macvlan", False),
    ):
        gateway.observed = 0
        assert converge(gateway, [item], apply=True).operations == ()
        assert gateway.observed == 1


def test_lease_of_a_link_is_observed() -> None:
    """Its addresses and routes belong to the state, though the task does not name them."""
    gateway = eth0()
    gateway.clients[LinkKey(HERE, "eth0")] = Client(ClientKey(LinkKey(HERE, "eth0")), Dhcp4())
    for name, known in (("eth0", ()), ("lo", None)):
        result = converge(gateway, [DesiredLink(LinkKey(HERE, name), None, True, {"alias": ""})], apply=False)
        assert result.after.get(LinkKey(HERE, name)).get("addresses") == known


# --- the next boot ---


def engine() -> Engine:
    """In place of the program of the next boot."""
    return Engine(b"program", (1, 0, 0))


def test_kernel_and_files_are_rolled_back_together() -> None:
    """Whichever request fails, of the files before the kernel, of the kernel, or of the files after it."""
    failed = []
    for place in itertools.count():
        gateway = eth0(Failing)
        first = converge(gateway, want("mv0", mode="bridge", persist="replay"), apply=True, engine=engine)
        assert first.operations
        before, files = everything(gateway), dict(gateway.files)
        gateway.executed.clear()
        gateway.fails_at = place
        items = [
            *want("mv0", mode="vepa", persist="none"),
            *want("mv1", address=ONE, persist="replay"),
            DesiredRoute(RouteKey(HERE, MAIN_TABLE, 4, "198.51.100.0/24", 0), True, {"type": "blackhole"}, persist="replay"),
        ]
        try:
            converge(gateway, items, apply=True, engine=engine)
        except ApplyFailed as error:
            check_rolled_back(error)
            assert changed(before, gateway) == [], place
            assert gateway.files == files, place
            failed.append(type(gateway.executed[place]))
        else:
            break
    assert {WriteFile, DeleteFile, SetLink, NewLink, AddRoute} <= set(failed)
    assert failed.index(NewLink) > failed.index(DeleteFile), "the declaration of an old link goes before the kernel changes"


def check_rolled_back(error: ApplyFailed) -> None:
    """The error says that nothing is left."""
    assert str(error).endswith(". All changes were rolled back")
    assert error.not_undone == []


def test_rollback_is_newest_first() -> None:
    """The files that were written last, the kernel, and the files that were written first."""
    gateway = eth0(Failing)
    converge(gateway, want("mv0", mode="bridge", persist="replay"), apply=True, engine=engine)
    gateway.executed.clear()
    items = [*want("mv0", mode="vepa", persist="none"), *want("mv1", persist="replay")]
    rehearsal = copy.deepcopy(gateway)
    converge(rehearsal, items, apply=True, engine=engine)
    gateway.fails_at = len(rehearsal.executed) - 1
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, items, apply=True, engine=engine)
    subjects = [sentence.partition(":")[0] for sentence in caught.value.undone]
    assert subjects == ["restore former files", "delete mv1", "set mv0", "restore former files"]


def test_files_that_do_not_stay_as_written() -> None:
    """Another program changes one of them."""

    class Other(FakeGateway):
        """Adds a line to each unit of systemd."""

        def execute(self, request: Request) -> None:
            """As all gateways, and then that."""
            super().execute(request)
            if isinstance(request, WriteFile) and request.path.endswith(".service"):
                self.files[request.path] = replace(request.file, content=request.file.content + b"# mine")

    gateway = eth0(Other)
    with pytest.raises(ApplyFailed) as caught:
        converge(gateway, want("mv0", persist="replay"), apply=True, engine=engine)
    assert str(caught.value).startswith("the files of the next boot differ from what was written: ")
    assert str(caught.value).endswith(". All changes were rolled back")
    assert (gateway.files, LinkKey(HERE, "mv0") in gateway.devices) == ({}, False)
