"""The usual length of a model's answers, by account: the mean of the latest ones that this shard saw. Pure."""

import json

from crossdock.kernel.runtime.shard.page_store import Codec, PageStore
from crossdock_schemas.ids import AccountId
from crossdock_schemas.parcel.result import Outcome, Result

LATEST = 1000  # answers that count; older ones lose weight
Means = dict[str, tuple[int, float]]
"""By model: how many answers (LATEST at most), and their mean."""


def _pack(means: Means) -> bytes:
    return json.dumps(means).encode()


def _unpack(value: bytes) -> Means:
    return {model: (count, mean) for model, (count, mean) in json.loads(value).items()}


class OutputLengthHistory:
    """Means by account and model, in tokens."""

    def __init__(self) -> None:
        self.pages = PageStore("output_lengths", Codec(AccountId, _pack, _unpack))

    def note(self, account: AccountId, result: Result) -> None:
        """Count an answer."""
        if result.outcome is not Outcome.COMPLETED:
            return
        means = self.pages.find(account) or {}
        count, mean = means.get(result.model, (0, 0.0))
        count = min(count + 1, LATEST)
        means[result.model] = (count, mean + (result.tokens.output - mean) / count)
        self.pages.put(account, means)

    def of(self, account: AccountId) -> dict[str, float]:
        """Return the mean length of answers by model."""
        return {model: mean for model, (_, mean) in (self.pages.find(account) or {}).items()}
