"""Behaviour of a simulated provider: pure functions of a hash of (seed, provider, request, attempt)."""

import math
from hashlib import blake2b
from statistics import NormalDist
from struct import Struct
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FaultKind = Literal[
    "429",  # with Retry-After
    "429_no_hint",
    "429_quota",  # insufficient_quota: a wait does not help
    "500",
    "502",
    "503",
    "529",
    "timeout",  # no answer until the client hangs up
    "reset",  # before the first byte
    "reset_mid_body",
    "truncated_body",  # the connection ends before the declared length
    "truncated_json",  # with matching length
    "cut_stream",  # an orderly end before [DONE]; a plain answer is cut like truncated_json
    "garbage",  # not JSON
    "error_in_200",
    "wrong_type",  # a valid answer with the content type of HTML
    "slow_drip",  # a valid answer, piece by piece
    "no_finish",
    "no_usage",
]
BUSY: frozenset[FaultKind] = frozenset({"429", "429_no_hint", "429_quota"})
REFUSALS: dict[FaultKind, int] = {"500": 500, "502": 502, "503": 503, "529": 529}
HARMLESS: frozenset[FaultKind | None] = frozenset({None, "no_usage", "wrong_type", "slow_drip"})
"""Faults that leave the answer complete and valid: its tokens count."""

_THREE = Struct(">3I")
_UNIT = 2.0**-32
_NORMAL = NormalDist()
_SUM_SLACK = 1e-9  # ten times 0.1 is a little more than 1
Probability = Annotated[float, Field(ge=0, le=1)]


class Latency(BaseModel):
    """Milliseconds until the answer. `spread` is the uniform half-width, or the sigma of the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["fixed", "uniform", "lognormal"] = "fixed"
    ms: float = Field(default=50.0, ge=0, le=3_600_000)
    spread: float = Field(default=0.0, ge=0, le=3_600_000)

    def draw_ms(self, chance: float) -> float:
        """Return the latency for a `chance` in (0, 1); `ms` is the mean of uniform, the median of lognormal."""
        if self.kind == "uniform":
            return max(0.0, self.ms + (2 * chance - 1) * self.spread)
        if self.kind == "lognormal":
            return self.ms * math.exp(min(self.spread * _NORMAL.inv_cdf(chance), 10.0))
        return self.ms


class Behaviour(BaseModel):
    """Behaviour of one provider. Set at run time with PUT /_simulator/providers/{name}."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency: Latency = Latency()
    output_tokens: tuple[int, int] = (8, 48)
    """Range of the uniform distribution, both ends included; max_tokens limits it."""
    rpm: int | None = Field(default=None, ge=1)
    tpm: int | None = Field(default=None, ge=1)
    """Prompt and max_tokens count in advance, as OpenAI does."""
    faults: dict[FaultKind, Probability] = Field(default_factory=dict)
    """Probability of each fault per call; a call meets one at most."""
    retry_after_s: float = Field(default=1.0, ge=0)
    drip_s: float = Field(default=0.5, ge=0)
    """Pause between two pieces of a slow_drip."""
    stream_gap_ms: float = Field(default=0.0, ge=0)
    """Pause between two events of a stream; 0 sends it at once."""
    api_keys: frozenset[str] = frozenset()
    """Accepted bearer keys; empty: all."""
    models: tuple[str, ...] = ()
    """Models that exist; empty: all."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if sum(self.faults.values()) > 1 + _SUM_SLACK:
            raise ValueError("the probabilities of `faults` must be at most 1 in all")
        low, high = self.output_tokens
        if not 1 <= low <= high:
            raise ValueError("`output_tokens` must be [low, high] with 1 <= low <= high")
        return self


class Draws(NamedTuple):
    """Random numbers of one call, each in (0, 1)."""

    fault: float
    latency: float
    output: float
    answer_id: str


def draw(seed: bytes, request_id: bytes, attempt: bytes) -> Draws:
    """Return draws that depend only on the arguments. The seed contains the simulator's seed and the provider."""
    digest = blake2b(b"%b|%b|%b" % (seed, request_id, attempt), digest_size=24).digest()
    fault, latency, output = _THREE.unpack_from(digest)
    return Draws(
        (fault + 0.5) * _UNIT, (latency + 0.5) * _UNIT, (output + 0.5) * _UNIT, digest[12:].hex()
    )


def choose_fault(faults: dict[FaultKind, float], chance: float) -> FaultKind | None:
    """Return the fault that `chance` falls on."""
    for fault, probability in faults.items():
        if chance < probability:
            return fault
        chance -= probability
    return None


def count_output(low: int, high: int, chance: float, cap: int | None) -> tuple[int, bool]:
    """Return the number of tokens of the answer, and whether `cap` limited it."""
    wanted = low + int(chance * (high - low + 1))
    if cap is not None and cap < wanted:
        return max(1, cap), True
    return wanted, False
