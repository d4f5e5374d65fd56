"""Attribution: the end user and the tags that calls are booked under, and their names in budgets. Pure.

A scope of an end user is `user:` and the caller's own id of it; one of a tag is `tag:`, the tag's name, `=`, its
value. In a tag's name `%` is written %25 and `=` %3D, so that a scope means one tag only.
"""

from collections.abc import Mapping
from typing import Any

USER_FIELDS = ("safety_identifier", "user")
"""OpenAI's names of the end user; the newer one first."""
MAX_USER = 256  # characters; OpenAI's ids of users are 64 at most
MAX_TAGS = 16  # of one request, project or key, as OpenAI's metadata
MAX_TAG_NAME = 64
MAX_TAG_VALUE = 512
_USER = "user:"
_TAG = "tag:"


def user_of(body: Mapping[str, Any]) -> str:
    """Return the end user that a valid `body` names; empty if it names none."""
    return next((body[name] for name in USER_FIELDS if body.get(name)), "")


def user_scope(user: str) -> str:
    return f"{_USER}{user}"


def tag_scope(name: str, value: str) -> str:
    return f"{_TAG}{name.replace('%', '%25').replace('=', '%3D')}={value}"


def is_user(scope: str) -> bool:
    return scope.startswith(_USER)


def is_mark(scope: str) -> bool:
    """Return whether `scope` has the form of an end user's or a tag's."""
    return scope.startswith((_USER, _TAG))


def is_sound_mark(scope: str) -> bool:
    """Return whether a request may contain `scope`."""
    if is_user(scope):
        return 1 <= len(scope) - len(_USER) <= MAX_USER
    written, sign, value = scope.removeprefix(_TAG).partition("=")
    name = written.replace("%3D", "=").replace("%25", "%")
    is_whole = bool(scope.startswith(_TAG) and sign) and tag_scope(name, value) == scope
    return is_whole and len(name) <= MAX_TAG_NAME and len(value) <= MAX_TAG_VALUE
