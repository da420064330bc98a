# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner, case by case: cases.py says what a case is, and plan_cases has them."""

from __future__ import annotations

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute, kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, DesiredNetns, merge
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import WaitForAddresses
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._prediction import predicted_changes
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._plan import plan
from ansible_collections.patchbay.netdev.tests.unit.cases import Case, load, read
from ansible_collections.patchbay.netdev.tests.unit.operation_contracts import different, routed_differently

CASES = load()
PLANNED = {title: case for title, case in CASES.items() if case.outcome == "plan"}
FAILING = {title: case for title, case in CASES.items() if case.outcome != "plan"}


@pytest.mark.parametrize("case", PLANNED.values(), ids=PLANNED)
def test_plan(case: Case) -> None:
    """The operations, the warnings, and the predicted attributes."""
    found = plan(case.items(), case.state())
    assert [str(operation) for operation in found.operations] == case.expected
    assert list(found.warnings) == list(case.warnings)
    for name, attributes in case.after.items():
        (link,) = (link for link in found.after if link.key.name == name)
        rows = kind_of(link.kind)
        shown = {option: link.get(option) for option in attributes}
        shown = {option: value if value is None else rows[option].type.returned(value) for option, value in shown.items()}
        assert shown == attributes


@pytest.mark.parametrize("case", PLANNED.values(), ids=PLANNED)
def test_second_plan_is_empty(case: Case) -> None:
    """The predicted state is the desired one, by the planner's own judgment."""
    items = case.items()
    assert plan(items, plan(items, case.state()).after).operations == ()


@pytest.mark.parametrize("case", PLANNED.values(), ids=PLANNED)
def test_inverses_restore_the_state(case: Case) -> None:
    """In reverse order they lead to the former state, as far as that is known."""
    before = case.state()
    found = plan(case.items(), before)
    state = found.after.copy()
    for operation in reversed(found.operations):
        for inverse in operation.inverse():
            state.update(predicted_changes(inverse, state))
    again = {link.key: link for link in state}
    unknown = {
        (link.key.name, name)
        for link in before
        for name in link.attributes
        if link.key in again and again[link.key].get(name) is None
    }
    assert different(before, state, frozenset(unknown)) == []
    assert state.clients == before.clients
    passing = any(isinstance(operation, (WaitForAddresses, RestoreContents)) for operation in found.operations)
    if not found.at_risk and not passing:  # contents that are lost, if only for a moment, are restored by the loop
        assert routed_differently(before, state) == []


def test_client_of_a_namespace_that_others_deleted() -> None:
    """The plan stops it, because nothing else would."""
    lease = Lease("192.0.2.7", 24, ("192.0.2.1",))
    key, options = ClientKey(LinkKey("blue", "mv0")), Dhcp4(source_routing=SourceRouting(105, 1105))
    client = Client(key, options, lease, is_running=False, matches_link=False)
    gone = DesiredNetns(NetnsKey("blue"), False)
    assert list(map(str, plan([gone], State([], clients=[client])).operations)) == ["stop the DHCP client of mv0 in netns blue"]


@pytest.mark.parametrize("case", PLANNED.values(), ids=PLANNED)
def test_planning_changes_nothing(case: Case) -> None:
    """The state that was observed is unchanged, and a second plan from it is the same."""
    state = case.state()
    before = list(state)
    first = plan(case.items(), state)
    assert list(state) == before
    assert plan(case.items(), state).operations == first.operations


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_no_plan(case: Case) -> None:
    """The whole sentence that the user reads."""
    with pytest.raises({"refused": Refused, "invalid": InvalidValue}[case.outcome]) as caught:
        plan(case.items(), case.state())
    assert str(caught.value) == case.expected


def test_two_kinds_for_one_link() -> None:
    """A link has one kind in a task; an entry without a kind takes that of the other."""
    key = LinkKey(HERE, "mv0")
    one = DesiredLink(key, "macvlan", True, {"mtu": 1400}, origin="macvlan[0] (mv0)")
    view = DesiredLink(key, None, True, {"alias": "x"}, origin="link[0] (mv0)")
    (both,) = merge([view, one], describe_attribute)
    assert (both.kind, both.attributes) == ("macvlan", {"alias": "x", "mtu": 1400})
    other = DesiredLink(key, "macvtap", True, {}, origin="macvtap[0] (mv0)")
    with pytest.raises(InvalidValue) as caught:
        merge([one, other], describe_attribute)
    assert str(caught.value) == (
        "mv0: listed twice with different options: kind is macvlan in macvlan[0] (mv0) and macvtap in macvtap[0] (mv0). "
        "Set one value only"
    )


@pytest.mark.parametrize(
    "case",
    [
        {"desired": {}},
        {"plan": [], "refused": "no"},
        {"plan": [], "desire": {}},
    ],
)
def test_invalid_case_is_refused(case: dict[str, object]) -> None:
    """Otherwise a case could pass without a check."""
    with pytest.raises((AssertionError, ValueError)):
        read(case)
