"""The page of all settings, generated from the classes that read them.

Run: python -m crossdock.cli.reference write|check
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from crossdock.accounts.settings import AccountsSettings
from crossdock.batches.settings import BatchesSettings
from crossdock.ingress.settings import IngressSettings
from crossdock.kernel.process.settings import SHARED, Settings, name_of
from crossdock.kernel.provisioning.main import ProvisionSettings
from crossdock.local.clickhouse.main import EngineSettings
from crossdock.metering.settings import MeteringSettings
from crossdock.provider.settings import ProviderSettings
from crossdock.router.settings import RouterSettings
from crossdock.simulator.settings import SimulatorSettings
from crossdock_schemas.contracts.generated import ROOT, run

PAGE = "infra/docs/configuration.md"
SETTINGS: dict[str, type[Settings]] = {
    "ingress": IngressSettings,
    "accounts": AccountsSettings,
    "batches": BatchesSettings,
    "router": RouterSettings,
    "provider": ProviderSettings,
    "metering": MeteringSettings,
    "simulator": SimulatorSettings,
    "engine": EngineSettings,
}
_HEAD = """<!-- Written by `python -m crossdock.cli.reference write`. -->

# Settings

Every process reads its settings from the environment, once, at its start. A name that it does not know under its own
prefix, a missing one and an impossible value end it with one line that names them all. `crossdock up` sets what it must
and passes the rest on, so `CROSSDOCK_PROVIDER_CAPACITY=64 crossdock up` works as one expects.

Keys of providers are not settings: each provider in the [catalogue](catalogue.md) names the variable that holds its key.
"""


def settings_page() -> str:
    """Return the page."""
    parts = [_HEAD, "## Every process\n", _table(Settings, SHARED, frozenset())]
    own = ProvisionSettings.model_fields.keys() - Settings.model_fields.keys()
    if own:
        shared = frozenset(Settings.model_fields)
        parts += ["## What makes topics and tables\n", _table(ProvisionSettings, SHARED, shared)]
    for stage, settings in SETTINGS.items():
        shared = frozenset(Settings.model_fields)
        prefix = f"{SHARED}{stage.upper()}_"
        parts += [f"## {stage}\n", _table(settings, prefix, shared)]
    return "\n".join(parts)


def _table(settings: type[Settings], prefix: str, without: frozenset[str]) -> str:
    rows = [
        "| name | default | meaning |",
        "| --- | --- | --- |",
        *_rows(settings, prefix, without),
    ]
    return "\n".join(rows) + "\n"


def _rows(settings: type[Settings], prefix: str, without: frozenset[str]) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        if name in without:
            continue
        if not field.description:
            raise ValueError(f"{settings.__name__}.{name} has no description")
        default = "must be set" if field.is_required() else _shown(field.default)
        yield f"| `{name_of(name, prefix)}` | {default} | {field.description} |"


def _shown(value: object) -> str:
    if value is None or not str(value):  # an empty secret too
        return "none"
    return f"`{value:_}`" if isinstance(value, int) else f"`{value}`"


def main(argv: Sequence[str], root: Path = ROOT) -> int:
    return run(argv, "crossdock.cli.reference", lambda: {PAGE: settings_page()}, root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
