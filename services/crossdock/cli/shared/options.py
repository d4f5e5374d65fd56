"""Options that several commands share, and readers of their texts, which raise ProcessError if a text is invalid."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.accounts.budget import Limit

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="KEY=VALUE; may be repeated.", metavar="K=V")
]
NewTagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", help="KEY=VALUE; replaces all tags; '' removes them.", metavar="K=V"),
]
AllowIpOption = Annotated[
    list[str] | None,
    typer.Option("--allow-ip", help="Allow only this network; may be repeated.", metavar="CIDR"),
]
NewAllowIpOption = Annotated[
    list[str] | None,
    typer.Option("--allow-ip", help="Replaces all networks; '' allows any.", metavar="CIDR"),
]
NewNameOption = Annotated[str | None, typer.Option("--name", help="The new name.")]
DisableOption = Annotated[
    bool | None, typer.Option("--disable/--enable", help="Suspend it, or resume it.")
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Do it even if the key that asks, or every owner's key, does not work afterwards.",
    ),
]
MAX_HOURS = 87_600  # ten years; ClickHouse counts the seconds in 32 bits
ReplaceOption = Annotated[
    bool,
    typer.Option("--replace", help="Replace the whole: what has no option here is removed."),
]
IncludeByokOption = Annotated[
    bool | None,
    typer.Option(
        "--include-byok/--exclude-byok",
        help="Count the cost of calls with BYOK keys.  \\[default: exclude]",
    ),
]
DURATIONS = "use 30d, 12h or 90m"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def finite(value: float) -> float:
    """Return a number of an option; nan passes every comparison with bounds."""
    if value != value:  # noqa: PLR0124  # nan alone is unequal to itself
        raise typer.BadParameter("nan is not a number")
    return value


def duration_s(text: str) -> int:
    """Return the seconds of a text such as 30d, 12h, 90m or 0."""
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ProcessError(f"invalid duration {text!r}: {DURATIONS}")
    return int(match[1]) * _SECONDS[match[2]]


def expiry(text: str | None, now_ms: int) -> str | None:
    """Return the time after a duration, in ISO 8601; None for None.

    why: an empty text is an error. A script's unset variable must not make what never expires.
    """
    if text is None:
        return None
    life_s = duration_s(text)
    if life_s == 0:
        raise ProcessError(f"invalid duration {text!r}: it would expire at once; {DURATIONS}")
    return f"{datetime.fromtimestamp(now_ms // 1000 + life_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def pairs_of(option: str, texts: Sequence[str] | None) -> dict[str, str] | None:
    """Return the pairs of an option, empty for a single empty text, None if the option is not given."""
    values = values_of(texts)
    if values is None:
        return None
    pairs = {}
    for text in values:
        name, is_pair, value = text.partition("=")
        if not (name and is_pair):
            raise ProcessError(f"invalid {option} {text!r}: use KEY=VALUE")
        pairs[name] = value
    return pairs


def tags_of(texts: Sequence[str] | None) -> dict[str, str] | None:
    return pairs_of("--tag", texts)


def values_of(texts: Sequence[str] | None) -> list[str] | None:
    """Return the values of an option, empty for a single empty text, None if the option is not given."""
    if not texts:
        return None
    return [] if list(texts) == [""] else list(texts)


def usd_of(name: str, text: str) -> str:
    """Return an amount as the API takes it, to the last digit. `name` is the option or argument."""
    try:
        return f"{Limit.model_validate({'limit_usd': text}).limit_usd:f}"
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        raise ProcessError(f"invalid {name} {text!r}: use USD such as 12.50 ({fault})") from None


def signed_usd_of(name: str, text: str) -> str:
    """Return an amount that may be below 0, as `usd_of` does."""
    sign, is_negative, amount = text.partition("-")
    if is_negative and not sign and not amount.startswith(("-", "+")):
        return f"-{usd_of(name, amount)}"
    return usd_of(name, text)


def text_of(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise ProcessError(f"cannot read {str(file)!r}: {reason}") from None
