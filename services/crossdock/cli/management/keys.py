"""crossdock keys: list, create, show, update, rotate, delete."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Fields, Resource, with_options
from crossdock.cli.management.scopes import named
from crossdock.cli.shared.management_client import Management
from crossdock.cli.shared.options import (
    AllowIpOption,
    DisableOption,
    IncludeByokOption,
    NewAllowIpOption,
    NewNameOption,
    NewTagOption,
    TagOption,
    duration_s,
    expiry,
    tags_of,
    usd_of,
    values_of,
)
from crossdock.cli.shared.output import hand_over
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.money import usd_text
from crossdock_schemas.windows import Window

KeyName = Annotated[
    str, typer.Argument(help="The key's hash or id, as `list` shows it.", metavar="HASH_OR_ID")
]
LIMITS = {
    "limit": Annotated[
        str | None, typer.Option("--limit", help="What it may spend, such as 12.50.", metavar="USD")
    ],
    "limit_reset": Annotated[
        Window | None,
        typer.Option(
            help="When the limit begins anew: midnight UTC, Monday, the first of the month; total: never."
        ),
    ],
    "include_byok_in_limit": IncludeByokOption,
    "rpm": Annotated[
        int | None,
        typer.Option("--rpm", min=0, help="Requests a minute at most; 0: as many as come."),
    ],
    "tpm": Annotated[
        int | None,
        typer.Option(
            "--tpm", min=0, help="Tokens a minute at most, input and output; 0: as many as come."
        ),
    ],
}


def state_of(key: Fields, now_ms: int) -> str:
    """Say whether a key is of use."""
    if key["disabled"]:
        return "disabled"
    end = key["expires_at"]
    is_over = end is not None and datetime.fromisoformat(end).timestamp() * 1000 <= now_ms
    return "expired" if is_over else "active"


def _state(key: Fields) -> str:
    return state_of(key, SystemClock().now_ms())


def _limit(key: Fields) -> str | None:
    usd, window = _usd(key["limit"]), key["limit_reset"]
    return usd if usd is None or window is None else f"{usd} {window}"


def _usd(amount: float | None) -> str | None:
    """Return an amount without zeros at its end, and never in powers of ten."""
    return None if amount is None else usd_text(Decimal(str(amount)))


def _time(iso: str | None) -> str | None:
    return iso and f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


keys = Resource(
    "keys",
    help="API keys: create, limit, rotate and delete them.",
    columns=(
        *(("key", "id"), "name", "label", "role", ("project", "project_id"), ("state", _state)),
        *(("limit", _limit), ("remaining", lambda key: _usd(key["limit_remaining"]))),
        *(("expires", lambda key: _time(key["expires_at"])),),
        *(("created", lambda key: _time(key["created_at"])),),
    ),
    folded="name",
    names={"key": KeyName},
    parts=lambda _, key: (named(key),),
)
app = keys.app
keys.add_show("Show one key, without its plain text, which nobody has.")


@keys.command("list", show=keys.show_all)
def list_(
    management: Management,
    project: Annotated[str | None, typer.Option(help="Only of this project.", metavar="ID")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Disabled and expired ones too.")
    ] = False,
) -> Any:
    """List keys."""
    wish = {} if project is None else {"project_id": project}
    if everything:
        wish |= {"include_disabled": "true", "include_expired": "true"}
    return management.paged("keys", **wish)


@keys.command("create", show=hand_over)
@with_options(LIMITS)
def create(
    management: Management,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    project: Annotated[
        str | None, typer.Option(help="The project that it works in.", metavar="ID")
    ] = None,
    role: Annotated[
        Role | None, typer.Option(help="What it may manage; it calls models if not given.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="Such as 30d, 12h or 90m; never if not given.")
    ] = None,
    tag: TagOption = None,
    allow_ip: AllowIpOption = None,
    **limits: Any,
) -> Any:
    """Create a key, and print it: this once, alone on stdout."""
    body = {
        "name": name,
        "project_id": project,
        "role": role,
        # why: an empty text is a mistake, such as an unset variable, and must not make a key that lives for ever
        "expires_at": None if expires_in is None else expiry(expires_in, SystemClock().now_ms()),
    }
    return management.create("keys", body=body | _body(limits, tag, allow_ip))


@keys.command("update")
@with_options(LIMITS)
def update(
    management: Management,
    key: KeyName,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="Take all its limits away.")] = False,
    tag: NewTagOption = None,
    allow_ip: NewAllowIpOption = None,
    **limits: Any,
) -> Any:
    """Rename, disable or enable a key, limit what it may spend, tag it anew, or bind it to other networks."""
    amount, window = limits["limit"], limits["limit_reset"]
    if no_limit and (amount is not None or window is not None):
        raise ProcessError("--no-limit takes the limit away: give no other limit with it")
    removed = {"limit": no_limit, "limit_reset": window is Window.TOTAL}
    body = {"name": name, "disabled": disabled} | _body(limits, tag, allow_ip)
    emptied = [field for field, is_removed in removed.items() if is_removed]
    return management.change("keys", named(key), body=body, emptied=emptied)


def _body(limits: Fields, tag: list[str] | None, allow_ip: list[str] | None) -> dict[str, object]:
    amount, window = limits["limit"], limits["limit_reset"]
    return {
        **limits,
        "limit": None if amount is None else usd_of("--limit", amount),
        "limit_reset": None if window is Window.TOTAL else window,
        "tags": tags_of(tag),
        "allowed_ips": values_of(allow_ip),
    }


@keys.command("rotate", show=hand_over)
def rotate(
    management: Management,
    key: KeyName,
    overlap: Annotated[
        str, typer.Option(help="How long the old one works on, such as 24h; 0: not at all.")
    ] = "24h",
) -> Any:
    """Put a new key in a key's place, and print it: this once, alone on stdout."""
    body = {"overlap_s": duration_s(overlap)}
    return management.create("keys", named(key), "rotate", body=body)


keys.add_removal(
    "delete",
    "Delete a key: what uses it is refused from then on.",
    lambda key: f"key {key['name']!r} ({key['label']})",
)
