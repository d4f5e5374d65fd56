"""crossdock recover: the way back into an organization that has locked itself out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import MANAGEMENT_KEY, DataDirOption, data_dir, environment
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.process.settings import read_kafka
from crossdock.kernel.requests.api_keys import digest, label_of, make_plain_key
from crossdock_schemas.accounts.control import Recovered
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import OPERATOR, AccountId, make_change_id, make_key_id
from crossdock_schemas.topics import ACCOUNT_COMMANDS

SOURCE = "crossdock/cli"
SERVERS = "KAFKA_BOOTSTRAP_SERVERS"
KEY_SECRET = "CROSSDOCK_INGRESS_KEY_SECRET"  # noqa: S105  # the variable's name
SECRET_FILE = "key-secret"  # noqa: S105  # the file's name
ANSWER_S = 15.0
LATE = (
    f"the accounts stage has not answered within {ANSWER_S:g} s: the key works once the stage has read the command; "
    "see `crossdock status`"
)


def recover(
    ctx: typer.Context,
    organization: Annotated[
        str, typer.Argument(help="The organization's id.", metavar="ORGANIZATION")
    ] = OPERATOR,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Make a new owner's key, and print it, once, alone on stdout.

    For an organization that has locked itself out. Its list of networks is lifted, and the project of its owner is
    enabled. It needs the installation's secrets: the data folder, or KAFKA_BOOTSTRAP_SERVERS and
    CROSSDOCK_INGRESS_KEY_SECRET. Stages may run. The change is in the table control_log.
    """
    now_ms = SystemClock().now_ms()
    plain = make_plain_key(AccountId(organization), _key_secret(data_dir_), now_ms)
    command = make_recovered(AccountId(organization), plain, now_ms)
    change = doors_of(ctx).apply_command(_servers(data_dir_), _record(command), command, ANSWER_S)
    if change is not None and change.refusal is not None:
        raise ProcessError(f"cannot recover {organization!r}: {change.reason}")
    if as_json:
        show_json({"key": plain, "id": command.key_id, "applied": change is not None})
    else:
        sys.stdout.write(f"{plain}\n")
        sys.stdout.flush()
        note = "a new owner's key; it is shown only now" if change is not None else LATE
        sys.stderr.write(f"{note}; set {MANAGEMENT_KEY} to it\n")


def make_recovered(account: AccountId, plain: str, now_ms: int) -> Recovered:
    return Recovered(
        change_id=make_change_id(now_ms),
        account=account,
        at_ms=now_ms,
        key_id=make_key_id(now_ms),
        hash=digest(plain),
        label=label_of(plain),
    )


def _record(command: Recovered) -> Outgoing:
    headers = encode_headers(ACCOUNT_COMMANDS, SOURCE, command.change_id, command.at_ms, None)
    return Outgoing(ACCOUNT_COMMANDS.name, command.account.encode(), command.to_json(), headers)


def _key_secret(path: Path | None) -> str:
    """Return the installation's secret, which only its operator has."""
    given = environment().get(KEY_SECRET, "").strip() if path is None else ""
    file = data_dir(path).path / SECRET_FILE
    try:
        return given or file.read_text().strip()
    except OSError:
        raise ProcessError(f"no secret of the installation: set {KEY_SECRET}; cannot read {file}") from None  # fmt: skip


def _servers(path: Path | None) -> str:
    """Return Kafka's address; this process connects to it as the environment or the folder describes."""
    given = environment() if path is None else {}
    found = given if given.get(SERVERS) else data_dir(path).read_state().get("addresses", {})
    if SERVERS not in found:
        raise ProcessError(f"set {SERVERS}: the command is a record of a topic")
    ACCESS.use(read_kafka(found))
    servers: str = found[SERVERS]
    return servers
