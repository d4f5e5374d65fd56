"""An installation under attack: a test chooses the answers of its provider, and a bystander continues to work."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import openai

from support.dock import Dock, crossdock, until
from support.hostile import HostileProvider

MODELS = {"hostile": "", "hostile-other": "", "hostile-wallet": ""}
"""Models of the hostile provider: a name for each behaviour that tests need at the same time, with its own TOML."""
SECRET = "sk-hostile-91c5d0a2f7e84b36"
MAX_WAIT_S = 20.0


@dataclass
class Attacked:
    """The installation, its provider, and the checks after an attack."""

    dock: Dock
    provider: HostileProvider

    @contextmanager
    def unharmed(self, *, audit: bool = True) -> Iterator[None]:
        """Check that meanwhile no process restarted and requests of others were answered; then that the audit holds."""
        before = self._starts()
        with self._bystander():
            yield
        assert self._starts() == before, "a process restarted"
        assert self.dock.are_ready()
        if audit:
            self.dock.rest()
            done = crossdock("audit", "--data-dir", str(self.dock.data.path))
            assert done.returncode == 0, done.stdout + done.stderr

    def _starts(self) -> dict[str, tuple[int, int]]:
        return {n: (p["pid"], p["restarts"]) for n, p in self.dock.processes().items()}

    @contextmanager
    def _bystander(self) -> Iterator[None]:
        """Send one request after the other to a sound provider, with a key of its own."""
        _, key = self.dock.make_key("bystander")
        stop, faults, answered = threading.Event(), [], []

        def work() -> None:
            client = openai.OpenAI(
                base_url=self.dock.addresses["OPENAI_BASE_URL"],
                api_key=key,
                max_retries=0,
                timeout=MAX_WAIT_S,
            )
            with client:
                while not stop.is_set():
                    started = time.monotonic()
                    try:
                        client.chat.completions.create(
                            model="tern-mini", messages=[{"role": "user", "content": "hi"}]
                        )
                        answered.append(time.monotonic() - started)
                    except openai.OpenAIError as error:
                        faults.append(repr(error))
                    stop.wait(0.1)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
            count = len(answered)
            until(lambda: len(answered) > count or bool(faults), what="the bystander's answer")
        finally:
            stop.set()
            thread.join(MAX_WAIT_S + 5)
        assert not faults, faults[:3]
