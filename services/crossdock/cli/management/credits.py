"""crossdock credits: show, list; and for the operator: top-up, grant, adjust, refund, require."""

import secrets
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import OptionSpec, Resource, with_options
from crossdock.cli.shared.management_client import OWN, Management
from crossdock.cli.shared.options import expiry, signed_usd_of, usd_of
from crossdock.cli.shared.output import show_entry
from crossdock.kernel.process.clock import SystemClock
from crossdock_schemas.accounts.credit import CreditKind

ORGANIZATIONS = "organizations"
REFERENCE_BYTES = 8
OrgName = Annotated[str, typer.Argument(help="`organization`, or the id of one.", metavar="ORG")]
Amount = Annotated[str, typer.Argument(help="USD, such as 12.50.", metavar="AMOUNT")]
BOOKING = {
    "reference": OptionSpec(
        str | None,
        "--reference",
        "Its reference, such as an invoice's number; a reference is booked once.  \\[default: a random one, on stderr]",
    ),
    "note": OptionSpec(str | None, "--note", "A note that the organization reads."),
}
EXPIRY = {
    "expires_in": OptionSpec(
        str | None, "--expires-in", "Such as 90d; the rest is written off then.  \\[default: never]"
    )
}


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


def _show(value: Any, *, as_json: bool) -> None:
    expiring = [f"{lot['amount_usd']} at {lot['expires_at']}" for lot in value["expiring"]]
    show_entry(value if as_json else {**value, "expiring": expiring}, as_json=as_json)


credits = Resource(  # the command's name
    "credits",
    help="Credits: what an organization has paid in advance.\n\n1 credit is 1 USD.",
    columns=(
        *(("at", "created_at"), "kind", "amount_usd", "fee_usd", "expires_at", "reference"),
        *("note", "id"),
    ),
    folded="note",
)
app = credits.app


@credits.command("show", show=_show)
def show(management: Management) -> Any:
    """Show the organization's credits: added, spent, held and left, and when they expire."""
    return management.entry("credits")


@credits.command("list", show=credits.show_all)
def list_(
    management: Management,
    org: Annotated[
        str | None,
        typer.Option(help="Another organization, for the operator's owners.", metavar="ORG"),
    ] = None,
) -> Any:
    """List credits, newest first."""
    if org is None:
        return management.listed("credits", "entries")
    return management.listed(ORGANIZATIONS, _id(management, org), "credits")


@credits.command("require")
def require(
    management: Management,
    org: OrgName,
    switch: Annotated[Switch, typer.Argument(help="on: requests need credits.")],
) -> Any:
    """Switch on or off that an organization needs credits. For the operator's owners."""
    body = {"is_prepaid": switch is Switch.ON}
    return management.replace(ORGANIZATIONS, _id(management, org), "prepayment", body=body)


def _book(
    management: Management,
    org: str,
    kind: CreditKind,
    amount: str,
    expires_in: str | None = None,
    *,
    reference: str | None,
    note: str | None,
) -> Any:
    end = expiry(expires_in, SystemClock().now_ms())
    id_ = _id(management, org)
    if reference is None:
        reference = f"cli-{secrets.token_hex(REFERENCE_BYTES)}"
        # why first: if no answer comes, the user can repeat the command, and it is booked once
        sys.stderr.write(f"reference: {reference} (to try again, pass it as --reference)\n")
    body = {"kind": kind.value, "amount_usd": amount, "reference": reference, "note": note}
    return management.create(ORGANIZATIONS, id_, "credits", body=body | {"expires_at": end})["data"]


def _id(management: Management, org: str) -> str:
    return management.own_id() if org == OWN else org


def _add_booking(
    name: str,
    kind: CreditKind,
    help: str,
    read: Callable[[str, str], str] = usd_of,
    options: Mapping[str, Any] = BOOKING | EXPIRY,
    **settings: Any,
) -> None:
    @credits.command(name, help=f"{help} For the operator's owners.", **settings)
    @with_options(options)
    def _(management: Management, org: OrgName, amount: Amount, **how: Any) -> Any:
        return _book(management, org, kind, read("AMOUNT", amount), **how)


_add_booking("top-up", CreditKind.TOP_UP, "Book credits that were paid for; the fee is added.")
_add_booking("grant", CreditKind.GRANT, "Give credits.")
_add_booking(
    *("adjust", CreditKind.ADJUSTMENT, "Correct credits; AMOUNT may be below 0."),
    *(signed_usd_of, BOOKING),
    context_settings={"ignore_unknown_options": True},  # for -5
)
_add_booking(
    *("refund", CreditKind.REFUND),
    "Book credits that are paid back, at most what is neither spent nor held; the fee is kept.",
    *(lambda name, text: f"-{usd_of(name, text)}", BOOKING),
)
