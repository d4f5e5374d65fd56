"""crossdock credits: show, list; and for the operator: top-up, grant, adjust, refund, require."""

import secrets
import sys
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
OrgName = Annotated[
    str,
    typer.Argument(help="`organization`, or the id of one.", metavar="ORG"),
]
Amount = Annotated[str, typer.Argument(help="USD, such as 12.50.", metavar="AMOUNT")]
SignedAmount = Annotated[
    str, typer.Argument(help="USD, such as 12.50 or -12.50.", metavar="AMOUNT")
]
BOOKING = {
    "reference": OptionSpec(
        str | None,
        "--reference",
        "Its reference, such as an invoice's number; a reference is booked once.  [default: a random one, on stderr]",
    ),
    "note": OptionSpec(str | None, "--note", "A note that the organization reads."),
}
ExpiryOption = Annotated[
    str | None,
    typer.Option(help="Such as 90d; the rest is written off then.  [default: never]"),
]


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


@credits.command("top-up")
@with_options(BOOKING)
def top_up(
    management: Management,
    org: OrgName,
    amount: Amount,
    expires_in: ExpiryOption = None,
    **how: Any,
) -> Any:
    """Book credits that were paid for; the operator's fee is added. For the operator's owners."""
    usd = usd_of("AMOUNT", amount)
    return _book(management, org, CreditKind.TOP_UP, usd, expires_in, **how)


@credits.command("grant")
@with_options(BOOKING)
def grant(
    management: Management,
    org: OrgName,
    amount: Amount,
    expires_in: ExpiryOption = None,
    **how: Any,
) -> Any:
    """Give credits. For the operator's owners."""
    usd = usd_of("AMOUNT", amount)
    return _book(management, org, CreditKind.GRANT, usd, expires_in, **how)


@credits.command("adjust", context_settings={"ignore_unknown_options": True})  # for -5
@with_options(BOOKING)
def adjust(management: Management, org: OrgName, amount: SignedAmount, **how: Any) -> Any:
    """Correct credits, up or down. For the operator's owners."""
    return _book(management, org, CreditKind.ADJUSTMENT, signed_usd_of("AMOUNT", amount), **how)


@credits.command("refund")
@with_options(BOOKING)
def refund(management: Management, org: OrgName, amount: Amount, **how: Any) -> Any:
    """Book credits that are paid back, at most what is neither spent nor held. For the operator's owners.

    The fee is kept. Pay the money back where it came from.
    """
    return _book(management, org, CreditKind.REFUND, f"-{usd_of('AMOUNT', amount)}", **how)


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
