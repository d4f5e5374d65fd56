"""Credits that expire, as a heap of coins of 1 USD, each with the time until which it may be spent."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Coin:
    """It expires; what never does is no coin, but what is left of the credits."""

    end_ms: int
    is_over: bool = False
    """Its time has come, and calls were held for then."""
    is_back: bool = False
    """They gave it back: nobody may spend it any more."""


@dataclass
class ModelPurse:
    """USD."""

    credits: int = 0
    coins: list[Coin] = field(default_factory=list)
    prepaid_from: int | None = None
    """What was spent when credits began to bind; None: they do not."""
    counted: int = 0
    """The most that was ever spent, while there were coins."""
    came: Counter[int] = field(default_factory=Counter)
    """By their time."""

    def endless(self, paid: int) -> int:
        spent = 0 if self.prepaid_from is None else paid - self.prepaid_from
        return self.credits - spent - len(self.coins)

    @property
    def backs(self) -> int:
        return sum(coin.is_back for coin in self.coins)

    @property
    def left(self) -> list[tuple[int, int, int]]:
        """Of each time: what may be spent, and what may not any more."""
        ends = sorted({coin.end_ms for coin in self.coins})
        of = {end: [coin.is_back for coin in self.coins if coin.end_ms == end] for end in ends}
        return [(end, backs.count(False), backs.count(True)) for end, backs in of.items()]

    def _spendable(self) -> list[Coin]:
        return sorted((c for c in self.coins if not c.is_back), key=lambda coin: coin.end_ms)

    def count(self, paid: int) -> None:
        """Of what was spent since the last time each USD takes the coin that expires first."""
        if self.prepaid_from is None or not self.coins:
            self.counted = paid
        for coin in self._spendable()[: max(0, paid - self.counted)]:
            self.coins.remove(coin)
        self.counted = max(self.counted, paid)

    def add(self, amount: int, end_ms: int | None, paid: int) -> None:
        self.count(paid)
        self.credits += amount
        if end_ms is not None:
            self.came[end_ms] += amount
            self.coins += [Coin(end_ms) for _ in range(amount)]
        elif amount < 0 and self.endless(paid) < 0:
            for coin in self._spendable()[self.endless(paid) :]:
                self.coins.remove(coin)

    def settle(self, now_ms: int, paid: int, held: int, freed: int) -> None:
        self.count(paid)
        held = 0 if self.prepaid_from is None else held
        free = self.endless(paid) + len(self.coins) - self.backs - held
        while self.endless(paid) < 0 and self.coins:
            self.coins.remove((self._spendable() or self.coins)[0])
        kept = [coin for coin in self._spendable() if coin.is_over]
        for coin in kept[: min(max(freed, len(kept) - held), max(free, 0))]:
            coin.is_back = True
        cover = held - sum(coin.is_over for coin in self._spendable())
        for coin in [c for c in self._spendable() if c.end_ms <= now_ms and not c.is_over]:
            coin.is_over = True
            if cover > 0:
                cover -= 1
            else:
                self._lapse(coin)
        running = {coin.end_ms for coin in self._spendable()}
        for coin in [c for c in self.coins if c.is_back and c.end_ms not in running]:
            self._lapse(coin)
        after = self.endless(paid) + len(self.coins) - self.backs - held
        assert after >= min(free, 0), "expiry made a debt"

    def _lapse(self, coin: Coin) -> None:
        self.coins.remove(coin)
        self.credits -= 1
