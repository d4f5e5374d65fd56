"""Which tests stay in one worker of pytest-xdist: those that share an installation or an engine."""

from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "rough": ("chaos/test_chaos.py", "chaos/test_kills.py", "chaos/test_outages.py"),
    "dock": ("pipeline/", "local/test_cli.py", "chaos/test_rolling.py", "chaos/test_budgets.py"),
    "attacked": ("security/",),
    "engines": ("integration/", "chaos/test_scaling.py"),
}
"""In this order they begin: the longest first. Every other file is a group of its own."""
ORDER = tuple(GROUPS)
LONG = ("unit/simulation/",)
"""The longest files without an engine begin first."""


def group_of(path: str) -> str:
    """Return the group of a file of tests; `path` begins below tests/."""
    return next((group for group, parts in GROUPS.items() if path.startswith(parts)), path)


def turn_of(path: str) -> int:
    """Return when the file's group begins."""
    if path.startswith(LONG):
        return -1
    group = group_of(path)
    return ORDER.index(group) if group in GROUPS else len(ORDER)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # untyped upstream
    """Hands whole groups to workers. (`--dist loadgroup` of xdist 3.8 does nothing with pytest 9.2.)"""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0].removeprefix("tests/"))
