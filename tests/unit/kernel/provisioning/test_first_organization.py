"""What an installation begins with."""

from crossdock.kernel.provisioning.first_organization import (
    API_KEY,
    OWNER_KEY,
    founded_record,
    make_founded,
)
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.control import account_command
from crossdock_schemas.ids import OPERATOR

OWNER_SHA256, API_SHA256 = "a" * 64, "b" * 64


def test_an_installation_begins_with_an_owner_and_a_key_for_requests() -> None:
    founded = make_founded(OWNER_SHA256, API_SHA256, 1000)

    assert founded.organization.is_operator
    assert [(key.key_id, key.hash, key.role) for key in founded.keys] == [
        (OWNER_KEY, OWNER_SHA256, Role.OWNER),
        (API_KEY, API_SHA256, None),
    ]


def test_it_is_asked_for_under_its_account() -> None:
    founded = make_founded(OWNER_SHA256, API_SHA256, 1000)
    record = founded_record(founded)

    assert (record.topic, record.key) == ("accounts.commands", OPERATOR.encode())
    assert account_command.validate_json(record.value or b"") == founded
