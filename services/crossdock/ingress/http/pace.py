"""How slow a client may be in sending or taking bytes. Pure: time comes in as elapsed seconds."""


class TransferPace:
    """Judges one transfer by its pauses and by its average: bytes that trickle hold a connection as pauses do."""

    def __init__(self, *, pause_s: float, least_rate: int) -> None:
        self._pause_s = pause_s
        self._least_rate = least_rate
        self._idle_s = self._waited_s = 0.0
        self._moved = 0

    def wait(self, elapsed_s: float, moved: int) -> bool:
        """Count a time in which the client moved `moved` bytes; return whether it is too slow.

        It may pause for `pause_s`, and take that long and a second for each `least_rate` bytes for all of it.
        """
        self._moved += moved
        self._waited_s += elapsed_s
        self._idle_s = 0.0 if moved else self._idle_s + elapsed_s
        is_slow = self._waited_s > self._pause_s + self._moved / self._least_rate
        return is_slow or self._idle_s > self._pause_s
