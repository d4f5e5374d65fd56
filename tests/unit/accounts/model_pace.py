"""Tokens a minute, as anybody would reckon them: fractions that flow out of a list of buckets."""

from dataclasses import dataclass, field
from fractions import Fraction

from crossdock_schemas.ids import HoldId, KeyId

LINE = 100
"""Tokens that each line of the model reserves."""
ASKED = {"input_bytes": 40, "output_most": LINE - 10}
"""What a parcel says so that its lines do."""


@dataclass
class ModelPace:
    """Keys, what is in their buckets, and what holds have reserved still."""

    tpm: dict[KeyId, int] = field(default_factory=dict)
    levels: dict[KeyId, tuple[Fraction, int]] = field(default_factory=dict)
    """Tokens, and when they were reckoned."""
    reserved: dict[HoldId, int] = field(default_factory=dict)

    def level(self, key: KeyId, now_ms: int) -> Fraction:
        level, at_ms = self.levels.get(key, (Fraction(0), now_ms))
        return max(Fraction(0), level - Fraction(self.tpm[key] * (now_ms - at_ms), 60_000))

    def fitting(self, key: KeyId, lines: int, now_ms: int) -> int:
        if key not in self.tpm:
            return lines
        level = self.level(key, now_ms)
        room = int((self.tpm[key] - level) // LINE)
        return min(lines, max(room, 0 if level else 1))

    def _add(self, key: KeyId, tokens: int, now_ms: int) -> None:
        if key in self.tpm and tokens:
            level = max(Fraction(0), self.level(key, now_ms) + tokens)
            self.levels[key] = level, now_ms

    def admit(self, key: KeyId, hold: HoldId, lines: int, now_ms: int) -> None:
        if key in self.tpm and lines:
            self.reserved[hold] = lines * LINE
            self._add(key, lines * LINE, now_ms)

    def use(self, key: KeyId, hold: HoldId, tokens: int, now_ms: int) -> None:
        covered = min(self.reserved.get(hold, 0), max(0, tokens))
        if covered:
            self.reserved[hold] -= covered
        self._add(key, tokens - covered, now_ms)

    def end(self, key: KeyId, hold: HoldId, still: int, now_ms: int) -> None:
        if hold in self.reserved:
            back = max(0, self.reserved[hold] - LINE * still)
            self.reserved[hold] -= back
            if not still:
                del self.reserved[hold]
            self._add(key, -back, now_ms)
