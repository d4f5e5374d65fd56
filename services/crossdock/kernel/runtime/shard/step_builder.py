"""The records and pages of the present step, gathered from all its parts. Pure."""

from crossdock.kernel.process.record import Outgoing, Page, Step


class StepBuilder:
    """Records keep their order. A page that is kept more than once is written once, with its last value."""

    def __init__(self) -> None:
        self._outgoing: list[Outgoing] = []
        self._pages: dict[bytes, Page] = {}

    def send(self, *records: Outgoing) -> None:
        self._outgoing += records

    def keep(self, *pages: Page) -> None:
        self._pages |= {page.key: page for page in pages}

    def finish(self) -> Step:
        """Return what was gathered since the last call."""
        step = Step(self._outgoing, list(self._pages.values()))
        self._outgoing, self._pages = [], {}
        return step
