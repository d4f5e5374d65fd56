"""Options that several groups of commands share, and what their texts mean."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.accounts.budget import Limit

JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="KEY=VALUE, may be repeated.", metavar="K=V")
]
NewTagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", help="KEY=VALUE in place of all tags; '' removes them.", metavar="K=V"),
]
AllowIpOption = Annotated[
    list[str] | None,
    typer.Option("--allow-ip", help="Only from this network, may be repeated.", metavar="CIDR"),
]
NewAllowIpOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-ip", help="In place of all networks; '' allows every one.", metavar="CIDR"
    ),
]
NewNameOption = Annotated[str | None, typer.Option("--name", help="Another name.")]
DisableOption = Annotated[
    bool | None, typer.Option("--disable/--enable", help="Out of use, until enabled again.")
]
IncludeByokOption = Annotated[
    bool | None,
    typer.Option(
        "--include-byok/--exclude-byok",
        help="Whether what own provider keys pay for counts too; if not given, it does not.",
    ),
]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def duration_s(text: str) -> int:
    """Return the seconds that a text such as 30d, 12h, 90m or 0 means.

    Raises:
        ProcessError: if it is none.
    """
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ProcessError(f"{text!r} is no duration: say it such as 30d, 12h or 90m")
    return int(match[1]) * _SECONDS[match[2]]


def expiry(text: str, now_ms: int) -> str:
    """Return when a thing ends that lives as long as `text` says, in ISO 8601.

    Raises:
        ProcessError: if it would end at once, or `text` is no duration.
    """
    life_s = duration_s(text)
    if life_s == 0:
        raise ProcessError(f"{text!r} would be over at once: say it such as 30d, 12h or 90m")
    return f"{datetime.fromtimestamp(now_ms // 1000 + life_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def tags_of(texts: Sequence[str] | None) -> dict[str, str] | None:
    """Return the tags, none for a single empty text, or None if nothing was said.

    Raises:
        ProcessError: if one is not KEY=VALUE.
    """
    if not texts:
        return None
    tags: dict[str, str] = {}
    for text in () if list(texts) == [""] else texts:
        name, is_pair, value = text.partition("=")
        if not (name and is_pair):
            raise ProcessError(f"--tag {text!r} is not KEY=VALUE")
        tags[name] = value
    return tags


def values_of(texts: Sequence[str] | None) -> list[str] | None:
    """Return the values of an option, none for a single empty text, or None if nothing was said."""
    if not texts:
        return None
    return [] if list(texts) == [""] else list(texts)


def usd_of(name: str, text: str) -> str:
    """Return the amount that the option or argument `name` says, as the API takes it: to the last digit.

    Raises:
        ProcessError: if it is none.
    """
    try:
        return f"{Limit.model_validate({'limit_usd': text}).limit_usd:f}"
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        raise ProcessError(f"{name} {text!r} is no amount of USD such as 12.50: {fault}") from None


def signed_usd_of(name: str, text: str) -> str:
    """Return the amount that `name` says, which may be below 0, as `usd_of` does.

    Raises:
        ProcessError: if it is none.
    """
    sign, is_negative, amount = text.partition("-")
    if is_negative and not sign and not amount.startswith(("-", "+")):
        return f"-{usd_of(name, amount)}"
    return usd_of(name, text)
