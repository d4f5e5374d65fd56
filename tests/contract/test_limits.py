"""The page of limits agrees with the settings of ingress."""

import re
from pathlib import Path

from crossdock.ingress.settings import GIB, KIB, MIB, IngressSettings

PAGE = Path(__file__).parents[2] / "infra/docs/limits.md"
ROW = re.compile(r"^\| [^|]+ \| `([A-Z_]+)` \| ([\d,]+)(?: (KiB|MiB|GiB|s))? \|", re.MULTILINE)
UNITS = {"": 1, "s": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}
BOUND = re.compile(r"^(max|min)_|_timeout_s$|^keep_alive_s$")
OF_KAFKA = {"publish_timeout_s", "session_timeout_s", "transaction_timeout_s"}
"""Time limits that are no client's."""


def test_every_bound_is_in_the_table_with_its_default() -> None:
    rows = {
        name.lower(): float(number.replace(",", "")) * UNITS[unit]
        for name, number, unit in ROW.findall(PAGE.read_text())
    }

    fields = IngressSettings.model_fields
    bounds = {name for name in fields if BOUND.search(name)} - OF_KAFKA
    assert rows == {name: float(fields[name].default) for name in bounds}
