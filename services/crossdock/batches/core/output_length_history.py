"""How long a model's answers usually are, by account: the mean of its latest ones, which the shard saw itself. Pure."""

import json
from collections.abc import Iterable

from crossdock.kernel.process.record import Page
from crossdock_schemas.ids import AccountId
from crossdock_schemas.parcel.result import Outcome, Result

PREFIX = b"usual/"
LATEST = 1000  # answers that count; earlier ones fade


class UsualOutput:
    """Means by account and model, in tokens."""

    def __init__(self) -> None:
        self._means: dict[AccountId, dict[str, tuple[int, float]]] = {}
        """How many answers (LATEST at most), and their mean."""
        self._changed: set[AccountId] = set()

    def note(self, account: AccountId, result: Result) -> None:
        """Count an answer."""
        if result.outcome is not Outcome.COMPLETED:
            return
        means = self._means.setdefault(account, {})
        count, mean = means.get(result.model, (0, 0.0))
        count = min(count + 1, LATEST)
        means[result.model] = (count, mean + (result.tokens.output - mean) / count)
        self._changed.add(account)

    def of(self, account: AccountId) -> dict[str, float]:
        """Return the mean length of answers by model."""
        return {model: mean for model, (_, mean) in self._means.get(account, {}).items()}

    def finish(self) -> list[Page]:
        """Return the pages that changed since the last call."""
        changed, self._changed = self._changed, set()
        return [
            Page(PREFIX + account.encode(), json.dumps(self._means[account]).encode())
            for account in sorted(changed)
        ]

    def restore(self, pages: Iterable[Page]) -> None:
        """Take over pages under `usual/`."""
        for key, value in pages:
            if value is not None:
                account = AccountId(key.removeprefix(PREFIX).decode())
                means = json.loads(value)
                self._means[account] = {m: (count, mean) for m, (count, mean) in means.items()}


def is_own(page: Page) -> bool:
    """Say whether a page of the shard's state belongs here."""
    return page.key.startswith(PREFIX)
