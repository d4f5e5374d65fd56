"""crossdock credits: show, list; and for the operator: top-up, grant, adjust, refund, require."""

import secrets
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Resource, with_options
from crossdock.cli.shared.management_client import OWN, Management
from crossdock.cli.shared.options import expiry, signed_usd_of, usd_of
from crossdock.cli.shared.output import show_entry
from crossdock.kernel.process.clock import SystemClock
from crossdock_schemas.accounts.credit import CreditKind

ORGANIZATIONS = "organizations"
REFERENCE_BYTES = 8
OrgName = Annotated[
    str,
    typer.Argument(help="Its id; `organization` for the own one.", metavar="ORG"),
]
Amount = Annotated[str, typer.Argument(help="USD, such as 12.50.", metavar="AMOUNT")]
SignedAmount = Annotated[
    str, typer.Argument(help="USD, such as 12.50 or -12.50.", metavar="AMOUNT")
]
BOOKING = {
    "reference": Annotated[
        str | None,
        typer.Option(
            help="What it is known by, such as an invoice's number: the same one is booked once. "
            "Without one it gets a random one, which is printed on stderr."
        ),
    ],
    "note": Annotated[str | None, typer.Option(help="What the organization shall read of it.")],
}
ExpiryOption = Annotated[
    str | None,
    typer.Option(help="Such as 90d: what is not used by then is written off; never if not given."),
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
    """Show what the organization's credits came to: added, spent, held, left; and what expires when."""
    return management.entry("credits")


@credits.command("list", show=credits.show_all)
def list_(
    management: Management,
    org: Annotated[
        str | None,
        typer.Option(help="Another organization's, for the operator's owners.", metavar="ORG"),
    ] = None,
) -> Any:
    """List credits, the newest first."""
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
    """Book credits that were paid for; the operator's fee comes on top of them.

    For the operator's owners.
    """
    usd = usd_of("AMOUNT", amount)
    return _book(management, org, CreditKind.TOP_UP, usd, **how, **_end(expires_in))


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
    return _book(management, org, CreditKind.GRANT, usd, **how, **_end(expires_in))


@credits.command(
    "adjust", context_settings={"ignore_unknown_options": True}
)  # so that -5 is an amount
@with_options(BOOKING)
def adjust(management: Management, org: OrgName, amount: SignedAmount, **how: Any) -> Any:
    """Correct credits, up or down. For the operator's owners."""
    return _book(management, org, CreditKind.ADJUSTMENT, signed_usd_of("AMOUNT", amount), **how)


@credits.command("refund")
@with_options(BOOKING)
def refund(management: Management, org: OrgName, amount: Amount, **how: Any) -> Any:
    """Take away credits that are paid back: what is neither spent nor held. The fee is kept.

    The money itself is paid back where it came from. For the operator's owners.
    """
    return _book(management, org, CreditKind.REFUND, f"-{usd_of('AMOUNT', amount)}", **how)


@credits.command("require")
def require(
    management: Management,
    org: OrgName,
    switch: Annotated[Switch, typer.Argument(help="on: without credits nothing runs.")],
) -> Any:
    """Let an organization need credits for what it spends from now on, or none any more.

    For the operator's owners.
    """
    body = {"is_prepaid": switch is Switch.ON}
    return management.replace(ORGANIZATIONS, _id(management, org), "prepayment", body=body)


def _end(expires_in: str | None) -> dict[str, str]:
    # why: an empty text is a mistake, such as an unset variable, and must not make credits that last for ever
    if expires_in is None:
        return {}
    return {"expires_at": expiry(expires_in, SystemClock().now_ms())}


def _book(
    management: Management,
    org: str,
    kind: CreditKind,
    amount: str,
    *,
    reference: str | None,
    **more: object,
) -> Any:
    id_ = _id(management, org)
    if reference is None:
        reference = f"cli-{secrets.token_hex(REFERENCE_BYTES)}"
        # why first: whoever gets no answer can ask again, and it is booked once
        sys.stderr.write(f"reference: {reference} (to try again: --reference with it)\n")
    body = {"kind": kind.value, "amount_usd": amount, "reference": reference, **more}
    return management.create(ORGANIZATIONS, id_, "credits", body=body)["data"]


def _id(management: Management, org: str) -> str:
    return management.own_id() if org == OWN else org
