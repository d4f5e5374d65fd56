"""crossdock keys: list, create, show, update, rotate, delete."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

import typer

from crossdock.cli.shared.confirm import YesOption, ask, need_consent
from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import (
    AllowIpOption,
    DisableOption,
    IncludeByokOption,
    JsonOption,
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
from crossdock.cli.shared.output import hand_over, show_entry, show_json, show_rows
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.money import usd_text
from crossdock_schemas.windows import Window

app = typer.Typer(help="API keys: create, limit, rotate and delete them.", no_args_is_help=True)
COLUMNS = (
    *("key", "name", "label", "role", "project", "state", "limit", "remaining"),
    *("expires", "created"),
)
LimitOption = Annotated[
    str | None, typer.Option("--limit", help="What it may spend, such as 12.50.", metavar="USD")
]
RpmOption = Annotated[
    int | None,
    typer.Option("--rpm", min=0, help="Requests a minute at most; 0: as many as come."),
]
TpmOption = Annotated[
    int | None,
    typer.Option(
        "--tpm", min=0, help="Tokens a minute at most, input and output; 0: as many as come."
    ),
]
ResetOption = Annotated[
    Window | None,
    typer.Option(
        help="When the limit begins anew: midnight UTC, Monday, the first of the month; total: never."
    ),
]
KeyName = Annotated[
    str, typer.Argument(help="The key's hash or id, as `list` shows it.", metavar="HASH_OR_ID")
]
PLAIN = "sk-"


def state_of(key: dict[str, Any], now_ms: int) -> str:
    """Say whether a key is of use."""
    if key["disabled"]:
        return "disabled"
    end = key["expires_at"]
    is_over = end is not None and datetime.fromisoformat(end).timestamp() * 1000 <= now_ms
    return "expired" if is_over else "active"


def named(key: str) -> str:
    """Return the key's id or hash: a plain key becomes its hash, for it must not be in an address, which is logged."""
    return sha256(key.encode()).hexdigest() if key.startswith(PLAIN) else key


@app.command("list")
def list_(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only of this project.", metavar="ID")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Disabled and expired ones too.")
    ] = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """List keys."""
    wish = {} if project is None else {"project_id": project}
    if everything:
        wish |= {"include_disabled": "true", "include_expired": "true"}
    with open_management(ctx, data_dir_) as management:
        found = management.paged("keys", **wish)
    if as_json:
        show_json(found)
    elif found:
        now_ms = SystemClock().now_ms()
        show_rows(COLUMNS, [_row(key, now_ms) for key in found], folded="name")
    else:
        sys.stderr.write("no keys\n")


def _row(key: dict[str, Any], now_ms: int) -> list[object]:
    return [
        key["id"], key["name"], key["label"], key["role"], key["project_id"], state_of(key, now_ms),
        _limit(key), _usd(key["limit_remaining"]), _time(key["expires_at"]), _time(key["created_at"]),
    ]  # fmt: skip


def _limit(key: dict[str, Any]) -> str | None:
    usd, window = _usd(key["limit"]), key["limit_reset"]
    return usd if usd is None or window is None else f"{usd} {window}"


def _usd(amount: float | None) -> str | None:
    """Return an amount without zeros at its end, and never in powers of ten."""
    return None if amount is None else usd_text(Decimal(str(amount)))


def _time(iso: str | None) -> str | None:
    return iso and f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@app.command()
def create(
    ctx: typer.Context,
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
    limit: LimitOption = None,
    limit_reset: ResetOption = None,
    include_byok: IncludeByokOption = None,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    tag: TagOption = None,
    allow_ip: AllowIpOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Create a key, and print it: this once, alone on stdout."""
    # why: an empty text is a mistake, such as an unset variable, and must not make a key that lives for ever
    end = None if expires_in is None else expiry(expires_in, SystemClock().now_ms())
    body = {
        "name": name,
        "project_id": project,
        "role": role,
        "expires_at": end,
        "limit": None if limit is None else usd_of("--limit", limit),
        "limit_reset": None if limit_reset is Window.TOTAL else limit_reset,
        "include_byok_in_limit": include_byok,
        "rpm": rpm,
        "tpm": tpm,
        "tags": tags_of(tag),
        "allowed_ips": values_of(allow_ip),
    }
    with open_management(ctx, data_dir_) as management:
        hand_over(management.create("keys", body=body), as_json=as_json)


@app.command()
def show(
    ctx: typer.Context, key: KeyName, as_json: JsonOption = False, data_dir_: DataDirOption = None
) -> None:
    """Show one key, without its plain text, which nobody has."""
    with open_management(ctx, data_dir_) as management:
        show_entry(management.entry("keys", named(key)), as_json=as_json)


@app.command()
def update(
    ctx: typer.Context,
    key: KeyName,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    limit: LimitOption = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="Take all its limits away.")] = False,
    limit_reset: ResetOption = None,
    include_byok: IncludeByokOption = None,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    tag: NewTagOption = None,
    allow_ip: NewAllowIpOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Rename, disable or enable a key, limit what it may spend, tag it anew, or bind it to other networks."""
    if no_limit and (limit is not None or limit_reset is not None):
        raise ProcessError("--no-limit takes the limit away: give no other limit with it")
    is_endless = limit_reset is Window.TOTAL
    emptied = [name for name, is_so in (("limit", no_limit), ("limit_reset", is_endless)) if is_so]
    body = {
        "name": name,
        "disabled": disabled,
        "limit": None if limit is None else usd_of("--limit", limit),
        "limit_reset": None if is_endless else limit_reset,
        "include_byok_in_limit": include_byok,
        "rpm": rpm,
        "tpm": tpm,
        "tags": tags_of(tag),
        "allowed_ips": values_of(allow_ip),
    }
    with open_management(ctx, data_dir_) as management:
        entry = management.change("keys", named(key), body=body, emptied=emptied)
    show_entry(entry, as_json=as_json)


@app.command()
def rotate(
    ctx: typer.Context,
    key: KeyName,
    overlap: Annotated[
        str, typer.Option(help="How long the old one works on, such as 24h; 0: not at all.")
    ] = "24h",
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Put a new key in a key's place, and print it: this once, alone on stdout."""
    body = {"overlap_s": duration_s(overlap)}
    with open_management(ctx, data_dir_) as management:
        hand_over(management.create("keys", named(key), "rotate", body=body), as_json=as_json)


@app.command()
def delete(
    ctx: typer.Context,
    key: KeyName,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Delete a key: what uses it is refused from then on."""
    need_consent("delete", is_sure=is_sure)
    with open_management(ctx, data_dir_) as management:
        if not is_sure:
            found = management.entry("keys", named(key))
            ask(f"delete key {found['name']!r} ({found['label']})?", "not deleted")
        answer = management.delete("keys", named(key))
    if as_json:
        show_json(answer)
    else:
        sys.stderr.write("deleted\n")
