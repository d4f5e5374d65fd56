"""Everything that one installation keeps on this machine: data, ports, logs, its key, and who runs it."""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.provisioning.first_organization import OPERATOR
from crossdock.kernel.requests.api_keys import make_plain_key
from crossdock.local.ports import free_port, reserve

PREFERRED = {
    "ingress": 7700,
    "clickhouse": 7701,
    "kafka": 7702,
    "kafka_controller": 7703,
    "simulator": 7704,
}

MASTER_KEY = "master-key"
_OWN_WORDS = "crossdock: "


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return $CROSSDOCK_DATA_DIR, or the user's own data folder."""
    if environ.get("CROSSDOCK_DATA_DIR"):
        return Path(environ["CROSSDOCK_DATA_DIR"])
    root = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(root) / "crossdock"


class DataDir:
    """The folder. Only its owner may look inside."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._held: list[IO[str]] = []

    def make(self) -> None:
        """Make the folders.

        Raises:
            ProcessError: if the disk does not let us.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in ("logs", "run", "objects"):
                (self.path / name).mkdir(exist_ok=True)
            probe = self.path / "run" / "probe"
            probe.write_bytes(b"x" * 65_536)
            probe.unlink()
        except OSError as error:
            raise ProcessError(
                f"cannot write to {self.path}: {error.strerror}; free some space, or choose another --data-dir"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, one supervisor at a time, and the ports that are chosen meanwhile.

        Raises:
            ProcessError: if another holds it.
        """
        with (self.path / "run" / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ProcessError(self._who_runs()) from error
            try:
                yield
            finally:
                while self._held:
                    self._held.pop().close()

    def _who_runs(self) -> str:
        state = self.read_state()
        address = state.get("addresses", {}).get("OPENAI_BASE_URL", "starting")
        return (
            f"Crossdock runs already on {self.path} (pid {state.get('pid', '?')}, {address}): use it, "
            f"or stop it with `crossdock down --data-dir '{self.path}'`"
        )

    def is_running(self) -> bool:
        """Say whether a supervisor holds the folder."""
        try:
            with self.locked():
                return False
        except ProcessError:
            return True
        except OSError:
            return False

    def read_state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.path / "run" / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state as a whole: a reader sees the old or the new.

        Raises:
            OSError: if the disk does not take it; the old one stays.
        """
        partial = self.path / "run" / f"state.{os.getpid()}"
        partial.write_text(json.dumps(state, indent=1))
        partial.replace(self.path / "run" / "state.json")

    def served(self) -> list[str]:
        """Return which addresses are this installation's own, by the name of their variable; others are the user's."""
        by_process = {
            "ingress.0": "OPENAI_BASE_URL",
            "clickhouse.0": "CLICKHOUSE_URL",
            "kafka": "KAFKA_BOOTSTRAP_SERVERS",
        }
        running = {process["name"] for process in self.read_state().get("processes", [])}
        return [variable for name, variable in by_process.items() if name in running]

    def log_path(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def supervisors_error(self) -> ProcessError:
        """Return what the supervisor said when it ended; its own words, where it has some, before a library's."""
        log = self.log_path("supervisor")
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        own = [line for line in lines if line.startswith(_OWN_WORDS)]
        told = (own or lines or ["the supervisor ended"])[-1]
        return ProcessError(told.removeprefix(_OWN_WORDS))

    def ports(self, names: list[str]) -> dict[str, int]:
        """Return a free port for each name: the one of last time where it is free still."""
        file = self.path / "ports.json"
        try:
            kept: dict[str, int] = json.loads(file.read_text())
        except (OSError, ValueError):
            kept = {}
        chosen: dict[str, int] = {}
        for name in names:
            port = kept.get(name) or PREFERRED.get(name) or free_port()
            while (held := reserve(port)) is None:
                port = free_port()
            self._held.append(held)
            chosen[name] = port
        file.write_text(json.dumps(kept | chosen))
        return chosen

    def api_key(self) -> tuple[str, bool]:
        """Return the installation's first inference key, and whether it was made just now."""
        return self._kept("api-key", self._make_key)

    def owner_key(self) -> str:
        """Return the key that manages the installation's organization."""
        return self._kept("owner-key", self._make_key)[0]

    def _make_key(self) -> str:
        return make_plain_key(OPERATOR, self.key_secret(), SystemClock().now_ms())

    def key_secret(self) -> str:
        """Return the secret with which keys are told to be authentic."""
        return self._kept("key-secret", lambda: secrets.token_hex(32))[0]

    def master_key(self) -> Path:
        """Return the file of the keys that own provider keys are sealed with; a line each, the first one seals."""
        self._kept(MASTER_KEY, lambda: secrets.token_hex(32))
        return self.path / MASTER_KEY

    def _kept(self, name: str, make: Callable[[], str]) -> tuple[str, bool]:
        """Return a secret, and whether it was made just now. Its file is its owner's alone."""
        file = self.path / name
        if file.exists():
            return file.read_text().strip(), False
        secret = make()
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secret)
        return secret, True
