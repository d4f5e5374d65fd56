"""The data of an installation on this machine: stores, ports, logs, keys, and the state of its supervisor."""

import fcntl
import json
import os
import secrets
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.requests.api_keys import make_plain_key
from crossdock.local.ports import free_port, reserve
from crossdock_schemas.ids import OPERATOR

_NAMES = ("ingress", "clickhouse", "kafka", "kafka_controller", "simulator")
PREFERRED = {name: 7700 + number for number, name in enumerate(_NAMES)}
MASTER_KEY = "master-key"
_PREFIX = "crossdock: "
_OWNER_ONLY, _OTHERS, _OTHERS_WRITE = 0o700, 0o077, 0o022
_PATTERN = frozenset("*?{}[]")


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return $CROSSDOCK_DATA_DIR, or the user's data folder."""
    if environ.get("CROSSDOCK_DATA_DIR"):
        return Path(environ["CROSSDOCK_DATA_DIR"])
    root = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(root) / "crossdock"


class DataDir:
    """The folder. Only its owner can read it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._held: list[IO[str]] = []

    def make(self) -> None:
        """Create the folders. A folder that others can read becomes its owner's alone.

        Raises:
            ProcessError: if the disk refuses, if others can write to the folder, or if engines cannot use its name.
        """
        check_name(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._close()
            for name in ("logs", "run", "objects"):
                (self.path / name).mkdir(exist_ok=True)
            probe = self.path / "run" / "probe"
            probe.write_bytes(b"x" * 65_536)
            probe.unlink()
        except OSError as error:
            raise ProcessError(
                f"cannot write to {self.path}: {error.strerror}: free some space, or choose another --data-dir"
            ) from error

    def _close(self) -> None:
        found = self.path.stat()
        if found.st_uid != os.geteuid():
            raise ProcessError(
                f"{self.path} belongs to another user: choose a --data-dir of your own"
            )
        if found.st_mode & _OTHERS_WRITE and any(self.path.iterdir()):
            raise ProcessError(
                f"others can write to {self.path}, its files may not be yours: check them, then "
                f"`chmod 700 {shlex.quote(str(self.path))}`"
            )
        if stat.S_IMODE(found.st_mode) & _OTHERS:
            self.path.chmod(_OWNER_ONLY)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for one supervisor, and the ports that it chooses meanwhile.

        Raises:
            ProcessError: if another supervisor has the lock.
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
            f"Crossdock already runs on {self.path} (pid {state.get('pid', '?')}, {address}): use it, "
            f"or stop it with `crossdock down --data-dir '{self.path}'`"
        )

    def is_running(self) -> bool:
        """Return whether a supervisor has the lock."""
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
            OSError: if the disk refuses it; the old one stays.
        """
        partial = self.path / "run" / f"state.{os.getpid()}"
        partial.unlink(missing_ok=True)
        _write_new(partial, json.dumps(state, indent=1))
        partial.replace(self.path / "run" / "state.json")

    def served(self) -> list[str]:
        """Return the variables of the addresses that this installation serves itself; the others are the user's."""
        state = self.read_state()
        by_process = {
            "ingress.0": ["OPENAI_BASE_URL"],
            "clickhouse.0": ["CLICKHOUSE_URL"],
            "kafka": [name for name in state.get("addresses", {}) if name.startswith("KAFKA_")],
        }
        running = {process["name"] for process in state.get("processes", [])}
        return [v for name, variables in by_process.items() if name in running for v in variables]

    def log_path(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def supervisors_error(self) -> ProcessError:
        """Return the last message of the supervisor; its own messages go before a library's."""
        log = self.log_path("supervisor")
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        own = [line for line in lines if line.startswith(_PREFIX)]
        message = (own or lines or ["the supervisor ended"])[-1]
        return ProcessError(message.removeprefix(_PREFIX))

    def ports(self, names: list[str]) -> dict[str, int]:
        """Return a free port for each name: the last one if it is still free."""
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
        """Return the installation's first inference key, and whether it is new."""
        return self._kept("api-key", self._make_key)

    def owner_key(self) -> str:
        """Return the key that manages the installation's organization."""
        return self._kept("owner-key", self._make_key)[0]

    def _make_key(self) -> str:
        return make_plain_key(OPERATOR, self.key_secret(), SystemClock().now_ms())

    def key_secret(self) -> str:
        """Return the secret that authenticates keys."""
        return self._kept("key-secret", lambda: secrets.token_hex(32))[0]

    def master_key(self) -> Path:
        """Return the file of the master keys of BYOK keys, one a line; the first one encrypts."""
        self._kept(MASTER_KEY, lambda: secrets.token_hex(32))
        return self.path / MASTER_KEY

    def kafka_secret(self) -> str:
        """Return the password of the stages' user of the local Kafka."""
        return self._kept("kafka-secret", lambda: secrets.token_hex(24))[0]

    def clickhouse_secret(self, user: str) -> str:
        """Return the secret of a user of the embedded ClickHouse."""
        return self._kept(f"clickhouse-{user}", lambda: secrets.token_hex(24))[0]

    def clickhouse_url(self, user: str, port: int) -> str:
        """Return the address of the embedded ClickHouse, with the secret of `user`."""
        return f"http://{user}:{self.clickhouse_secret(user)}@127.0.0.1:{port}"

    def _kept(self, name: str, make: Callable[[], str]) -> tuple[str, bool]:
        """Return a secret, and whether it is new. Only the owner can read its file."""
        file = self.path / name
        if os.path.lexists(file):
            return _read_own(file), False
        secret = make()
        _write_new(file, secret)
        return secret, True


def check_name(path: Path) -> None:
    """Refuse a folder that an engine would take for another one.

    Raises:
        ProcessError: if the name has a character that ClickHouse reads as a pattern, a control character, or no UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ProcessError(f"{str(path)!r} is not UTF-8: choose another --data-dir") from None
    if found := next((c for c in str(path) if c in _PATTERN or not c.isprintable()), None):
        raise ProcessError(
            f"{str(path)!r} has the character {found!r}, which ClickHouse does not take as a name: choose another "
            f"--data-dir"
        )


def _read_own(file: Path) -> str:
    """Return a secret, and make its file readable for its owner alone.

    Raises:
        ProcessError: if it is a link, or a file of another user.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise ProcessError(
            f"cannot read {file}: {error.strerror}: it must be a plain file"
        ) from error
    with os.fdopen(descriptor) as secret:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise ProcessError(
                f"{file} is not a file of yours: remove it, or choose another --data-dir"
            )
        if stat.S_IMODE(found.st_mode) & _OTHERS:
            os.fchmod(descriptor, 0o600)
        return secret.read().strip()


def _write_new(file: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
