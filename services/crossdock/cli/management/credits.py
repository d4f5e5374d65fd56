"""crossdock credits: show, list; and for the operator: top-up, grant, adjust, refund, require."""

import secrets
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from crossdock.cli.management.orgs import OWN
from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import Management, open_management
from crossdock.cli.shared.options import JsonOption, expiry, signed_usd_of, usd_of
from crossdock.cli.shared.output import show_entry, show_json, show_rows
from crossdock.kernel.process.clock import SystemClock
from crossdock_schemas.accounts.credit import CreditKind

app = typer.Typer(
    help="Credits: what an organization has paid in advance.\n\n1 credit is 1 USD.",
    no_args_is_help=True,
)
PLACE = "credits"
OTHERS = "organizations"
COLUMNS = ("at", "kind", "amount", "fee", "expires", "reference", "note", "id")
FIELDS = ("created_at", "kind", "amount_usd", "fee_usd", "expires_at", "reference", "note", "id")
REFERENCE_BYTES = 8
OrgName = Annotated[
    str,
    typer.Argument(help="Its id; `organization` for the own one.", metavar="ORG"),
]
Amount = Annotated[str, typer.Argument(help="USD, such as 12.50.", metavar="AMOUNT")]
SignedAmount = Annotated[
    str, typer.Argument(help="USD, such as 12.50 or -12.50.", metavar="AMOUNT")
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        help="What it is known by, such as an invoice's number: the same one is booked once. "
        "Without one it gets a random one, which is printed on stderr."
    ),
]
ExpiryOption = Annotated[
    str | None,
    typer.Option(help="Such as 90d: what is not used by then is written off; never if not given."),
]
NoteOption = Annotated[str | None, typer.Option(help="What the organization shall read of it.")]


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


@app.command()
def show(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """Show what the organization's credits came to: added, spent, held, left; and what expires when."""
    with open_management(ctx, data_dir_) as management:
        found = management.entry(PLACE)
    expiring = [f"{lot['amount_usd']} at {lot['expires_at']}" for lot in found["expiring"]]
    show_entry(found if as_json else {**found, "expiring": expiring}, as_json=as_json)


@app.command("list")
def list_(
    ctx: typer.Context,
    org: Annotated[
        str | None,
        typer.Option(help="Another organization's, for the operator's owners.", metavar="ORG"),
    ] = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """List credits, the newest first."""
    with open_management(ctx, data_dir_) as management:
        place = (PLACE, "entries") if org is None else (OTHERS, _id(management, org), PLACE)
        found = management.listed(*place)
    if as_json:
        show_json(found)
    elif found:
        show_rows(COLUMNS, [[entry[name] for name in FIELDS] for entry in found], folded="note")
    else:
        sys.stderr.write("no credits\n")


@app.command("top-up")
def top_up(
    ctx: typer.Context,
    org: OrgName,
    amount: Amount,
    reference: ReferenceOption = None,
    note: NoteOption = None,
    expires_in: ExpiryOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Book credits that were paid for; the operator's fee comes on top of them.

    For the operator's owners.
    """
    body = _body(CreditKind.TOP_UP, usd_of("AMOUNT", amount), reference, note) | _end(expires_in)
    with open_management(ctx, data_dir_) as management:
        _book(management, org, body, as_json=as_json)


@app.command()
def grant(
    ctx: typer.Context,
    org: OrgName,
    amount: Amount,
    reference: ReferenceOption = None,
    note: NoteOption = None,
    expires_in: ExpiryOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Give credits. For the operator's owners."""
    body = _body(CreditKind.GRANT, usd_of("AMOUNT", amount), reference, note) | _end(expires_in)
    with open_management(ctx, data_dir_) as management:
        _book(management, org, body, as_json=as_json)


@app.command(context_settings={"ignore_unknown_options": True})  # so that -5 is an amount
def adjust(
    ctx: typer.Context,
    org: OrgName,
    amount: SignedAmount,
    reference: ReferenceOption = None,
    note: NoteOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Correct credits, up or down. For the operator's owners."""
    body = _body(CreditKind.ADJUSTMENT, signed_usd_of("AMOUNT", amount), reference, note)
    with open_management(ctx, data_dir_) as management:
        _book(management, org, body, as_json=as_json)


@app.command()
def refund(
    ctx: typer.Context,
    org: OrgName,
    amount: Amount,
    reference: ReferenceOption = None,
    note: NoteOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Take away credits that are paid back: what is neither spent nor held. The fee is kept.

    The money itself is paid back where it came from. For the operator's owners.
    """
    body = _body(CreditKind.REFUND, f"-{usd_of('AMOUNT', amount)}", reference, note)
    with open_management(ctx, data_dir_) as management:
        _book(management, org, body, as_json=as_json)


@app.command()
def require(
    ctx: typer.Context,
    org: OrgName,
    switch: Annotated[Switch, typer.Argument(help="on: without credits nothing runs.")],
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Let an organization need credits for what it spends from now on, or none any more.

    For the operator's owners.
    """
    body = {"is_prepaid": switch is Switch.ON}
    with open_management(ctx, data_dir_) as management:
        entry = management.replace(OTHERS, _id(management, org), "prepayment", body=body)
    show_entry(entry, as_json=as_json)


def _body(
    kind: CreditKind, amount: str, reference: str | None, note: str | None
) -> dict[str, object]:
    return {"kind": kind.value, "amount_usd": amount, "reference": reference, "note": note}


def _end(expires_in: str | None) -> dict[str, object]:
    # why: an empty text is a mistake, such as an unset variable, and must not make credits that last for ever
    if expires_in is None:
        return {}
    return {"expires_at": expiry(expires_in, SystemClock().now_ms())}


def _book(management: Management, org: str, body: Mapping[str, object], *, as_json: bool) -> None:
    id_ = _id(management, org)
    if body["reference"] is None:
        body = {**body, "reference": f"cli-{secrets.token_hex(REFERENCE_BYTES)}"}
        # why first: whoever gets no answer can ask again, and it is booked once
        sys.stderr.write(f"reference: {body['reference']} (to try again: --reference with it)\n")
    answer: dict[str, Any] = management.create(OTHERS, id_, PLACE, body=body)
    show_entry(answer["data"], as_json=as_json)


def _id(management: Management, org: str) -> str:
    return str(management.entry(OWN)["id"]) if org == OWN else org
