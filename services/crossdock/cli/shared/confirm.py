"""Asks a person before something is taken away."""

import sys
from typing import Annotated

import typer

from crossdock.kernel.process.errors import ProcessError

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def need_consent(deed: str, *, is_sure: bool) -> None:
    """Make certain that somebody is sure, or can be asked.

    Raises:
        ProcessError: if not.
    """
    if not is_sure and not sys.stdin.isatty():
        raise ProcessError(f"nobody to ask whether to {deed}: stdin is no terminal; give --yes")


def ask(question: str, refused: str) -> None:
    """Ask on the terminal.

    Raises:
        ProcessError: with the text `refused`, if the answer is not yes.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise ProcessError(refused)
