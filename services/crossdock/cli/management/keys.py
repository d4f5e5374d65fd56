"""crossdock keys: list, create, show, update, rotate, delete."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Fields, OptionSpec, Resource, with_options
from crossdock.cli.management.scopes import named
from crossdock.cli.shared.management_client import Management
from crossdock.cli.shared.options import (
    AllowIpOption,
    DisableOption,
    ForceOption,
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
    str, typer.Argument(help="The key's hash or id, see `list`.", metavar="HASH_OR_ID")
]
LIMITS = {
    "limit": OptionSpec(str | None, "--limit", "The most that it may spend, such as 12.50.", "USD"),
    "limit_reset": OptionSpec(
        Window | None,
        "--limit-reset",
        "When the limit starts again: midnight UTC, Monday, the first of the month; total: never.",
    ),
    "include_byok_in_limit": IncludeByokOption,
    "rpm": OptionSpec(int | None, "--rpm", "The most requests per minute; 0: no limit.", least=0),
    "tpm": OptionSpec(
        int | None, "--tpm", "The most tokens per minute, input and output; 0: no limit.", least=0
    ),
}


def state_of(key: Fields, now_ms: int) -> str:
    """Return whether a key works: active, disabled or expired."""
    if key["disabled"]:
        return "disabled"
    end = key["expires_at"]
    is_over = end is not None and datetime.fromisoformat(end).timestamp() * 1000 <= now_ms
    return "expired" if is_over else "active"


def _limit(key: Fields) -> str | None:
    usd, window = _usd(key["limit"]), key["limit_reset"]
    return usd if usd is None or window is None else f"{usd} {window}"


def _usd(amount: float | None) -> str | None:
    """Return an amount without zeros at its end, and without an exponent."""
    return None if amount is None else usd_text(Decimal(str(amount)))


def _time(iso: str | None) -> str | None:
    return iso and f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


keys = Resource(
    "keys",
    help="API keys: create, limit, rotate and delete them.",
    columns=(
        *(("key", "id"), "name", "label", "role", ("project", "project_id")),
        ("state", lambda key: state_of(key, SystemClock().now_ms())),
        ("limit USD", _limit),
        ("remaining USD", lambda key: _usd(key["limit_remaining"])),
        ("expires", lambda key: _time(key["expires_at"])),
        ("created", lambda key: _time(key["created_at"])),
    ),
    folded="name",
    names={"key": KeyName},
    parts=lambda _, key: (named(key),),
)
app = keys.app
keys.add_show("Show a key. Its plain text is not stored and cannot be shown.")


@keys.command("list", show=keys.show_all)
def list_(
    management: Management,
    project: Annotated[str | None, typer.Option(help="Only of this project.", metavar="ID")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also disabled and expired keys.")
    ] = False,
) -> Any:
    """List the keys that work."""
    wanted = {} if project is None else {"project_id": project}
    if everything:
        wanted |= {"include_disabled": "true", "include_expired": "true"}
    return management.paged("keys", **wanted)


@keys.command("create", show=hand_over)
@with_options(LIMITS)
def create(
    management: Management,
    name: Annotated[str, typer.Argument(help="Its purpose, such as ci.")],
    project: Annotated[str | None, typer.Option(help="Its project.", metavar="ID")] = None,
    role: Annotated[
        Role | None,
        typer.Option(help="The role of a management key. Without a role the key calls models."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="Such as 30d, 12h or 90m.  \\[default: never]")
    ] = None,
    tag: TagOption = None,
    allow_ip: AllowIpOption = None,
    **limits: Any,
) -> Any:
    """Create a key and print it, once, alone on stdout."""
    end = expiry(expires_in, SystemClock().now_ms())
    body = {"name": name, "project_id": project, "role": role, "expires_at": end}
    return management.create("keys", body=body | _body(limits, tag, allow_ip))


@keys.command("update")
@with_options(LIMITS)
def update(
    management: Management,
    key: KeyName,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="Remove its limit.")] = False,
    tag: NewTagOption = None,
    allow_ip: NewAllowIpOption = None,
    force: ForceOption = False,
    **limits: Any,
) -> Any:
    """Rename, suspend or resume a key, or change its limits, tags or networks."""
    amount, window = limits["limit"], limits["limit_reset"]
    if no_limit and (amount is not None or window is not None):
        raise ProcessError("--no-limit removes the limit: do not pass --limit or --limit-reset too")
    removed = {"limit": no_limit, "limit_reset": window is Window.TOTAL}
    body = {"name": name, "disabled": disabled} | _body(limits, tag, allow_ip)
    emptied = [field for field, is_removed in removed.items() if is_removed]
    return management.change("keys", named(key), body=body, emptied=emptied, force=force)


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
        str, typer.Option(help="How long the old key still works; 0: not at all.")
    ] = "24h",
    force: ForceOption = False,
) -> Any:
    """Replace a key and print the new one, once, alone on stdout."""
    body = {"overlap_s": duration_s(overlap)}
    return management.create("keys", named(key), "rotate", body=body, force=force)


keys.add_removal(
    "delete",
    "Delete a key. Requests with it are refused from then on.",
    lambda key: f"key {key['name']!r} ({key['label']})",
    options={"force": ForceOption},
)
