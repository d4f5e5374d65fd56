"""What became of commands: also where an account hands one on to itself."""

import pytest

from crossdock.ingress.views.accounts import Answers
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.control import Change, Refusal
from crossdock_schemas.ids import AccountId
from support.builders import make_change

OWN = AccountId("org_local")
OTHER = AccountId("org_other")


def told(*changes: Change) -> Answers:
    answers = Answers()
    for offset, change in enumerate(changes):
        answers.apply(Record("t", 0, offset, 0, b"k", change.to_json(), ()))
    return answers


def test_a_change_is_found_by_its_account() -> None:
    change = make_change()

    assert told(change).find(change.change_id, OWN) == change
    assert told(change).find(change.change_id, OTHER) is None
    assert told().find(change.change_id, OWN) is None


def test_who_hands_a_command_on_has_not_answered_it() -> None:
    handed_on = make_change(action="ask_credit")
    answer = make_change(2, action="credit", change_id=handed_on.change_id)

    assert told(handed_on).find(handed_on.change_id, OWN, "credit") is None
    assert told(handed_on, answer).find(handed_on.change_id, OWN, "credit") == answer


@pytest.mark.parametrize("account", [OWN, OTHER])
def test_whoever_refuses_it_on_the_way_is_the_last(account: AccountId) -> None:
    refused = make_change(action="ask_credit", refusal=Refusal.PERMISSION_DENIED, reason="no")

    assert told(refused).find(refused.change_id, account, "credit") == refused
