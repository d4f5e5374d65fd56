"""Denial of wallet: whatever a body has, and whatever a provider obeys or reports, no limit is exceeded.

Bodies have any JSON type in any known field, and names that come twice or nearly. Presets, policies and fallbacks take
part.
"""

import asyncio
import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.accounts.preset import Preparation, Preset, preparation_of
from crossdock_schemas.ids import AccountId
from crossdock_schemas.pricing.parameters import PARAMETERS
from support.effort import Effort
from support.obeying import Obeying
from unit.wallet.world import CHAT, EMBEDDINGS, Wallet, text_of

BODIES = 4  # of one wallet, at most
COSTLY = (
    "n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens", "thinking", "thinking_budget",
    "reasoning", "prediction", "tools", "service_tier", "web_search_options", "plugins", "modalities", "audio",
    "store", "background", "enable_search", "cache_control", "stream",
)  # fmt: skip
NEARLY = ("N", "\uff4e", "maxTokens", "Max_Tokens", "max_tokens ", "of_tomorrow", "extra_body")
KNOWN = sorted({*PARAMETERS[CHAT], *PARAMETERS[EMBEDDINGS]} - {"model", "messages", "input"})
COUNTS = st.sampled_from([0, 1, 2, 5, 40, 64, 100, 1000, 5000, 50_000, -1, 10**7, 10**12, 2**64])
SCALARS = (
    st.none() | st.booleans() | COUNTS | COUNTS.map(str) | COUNTS.map(float)
    | st.sampled_from([0.5, 1e300, 1e400, "1e3", "auto", "priority", "high", "text", "function", "web_search"])
)  # fmt: skip
FIELDS = ("type", "budget_tokens", "max_tokens", "effort", "n", "content", "ttl", "function")
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=2)
    ),
    max_leaves=4,
)
LIKELY = st.sampled_from(
    [
        ("n", 3), ("best_of", 7), ("max_tokens", 20), ("max_completion_tokens", 50), ("thinking_budget", 3000),
        ("thinking", {"type": "enabled", "budget_tokens": 4000}), ("reasoning", {"max_tokens": 2500}),
        ("prediction", {"type": "content", "content": "aye " * 900}), ("tools", [{"type": "function"}]),
        ("service_tier", "auto"), ("temperature", 0.5), ("stream", True), ("store", True),
    ]
)  # fmt: skip
ANY_PAIR = st.tuples(st.sampled_from([*COSTLY, *NEARLY, *KNOWN]), VALUES)
COUNTED = ("n", "best_of", "max_tokens", "max_completion_tokens", "thinking_budget", *NEARLY)
HOSTILE = st.tuples(st.sampled_from(COUNTED), COUNTS | COUNTS.map(str) | COUNTS.map(float))
PAIRS = st.one_of(
    st.lists(LIKELY, max_size=3),
    st.tuples(HOSTILE).map(list),
    st.tuples(LIKELY, HOSTILE).map(list),
    st.lists(LIKELY | ANY_PAIR, max_size=4),
)
PARTS = st.sampled_from(
    [
        {"type": "text", "text": "ahoy"},
        {"type": "image_url", "image_url": {"url": "http://x"}},
        {"type": "input_audio", "input_audio": {"data": ""}},
    ]
)
CONTENTS = st.text(max_size=60) | st.lists(PARTS, min_size=1, max_size=2)
CHATS = st.tuples(CONTENTS, PAIRS).map(
    lambda drawn: [
        ("model", "tern"),
        ("messages", [{"role": "user", "content": drawn[0]}]),
        *drawn[1],
    ]
)
TEXTS = st.text(min_size=1, max_size=40)
TOKENS = st.lists(st.integers(0, 10**5), min_size=1, max_size=9)
INPUTS = TEXTS | st.lists(TEXTS, min_size=1, max_size=3) | TOKENS | VALUES
EMBEDS = st.tuples(INPUTS, PAIRS).map(lambda drawn: [("model", "wren"), ("input", drawn[0]), *drawn[1]])  # fmt: skip
LIMITS = st.sampled_from(["0.00002", "0.02", "0.5", "4", "60", "900"]).map(Decimal)
RULES = st.sampled_from(
    [None, None, Rules(max_tokens=33), Rules(tools="deny"), Rules(ignored_providers=("cheap",))]
)


def _absurd(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda usage: usage | {name: value}


ABSURD: tuple[Any, ...] = (-5, "999999", 1e12, True, 10**400, 1e300, [], "NaN")
LIES: list[Callable[[dict[str, Any]], Any]] = [
    lambda usage: dict.fromkeys(usage, 10**12),
    lambda usage: usage | {"completion_tokens": usage.get("completion_tokens", 0) * 3 + 7},
    lambda usage: usage | {"prompt_tokens": usage["prompt_tokens"] + 10**9},
    lambda usage: {"prompt_tokens": 1, "completion_tokens": 10**12, "total_tokens": 1},
    lambda usage: None,
    *(_absurd(name, value) for name in ("prompt_tokens", "completion_tokens") for value in ABSURD),
]


def _preset(fields: list[tuple[str, Any]]) -> Preparation | None:
    parameters = {name: value for name, value in fields if name.isidentifier()}
    preset = Preset(
        account=AccountId("org_1"), scope="org_1", slug="default", version=1, updated_at_ms=1,
        parameters=json.loads(json.dumps(parameters).replace("Infinity", "1")),
    )  # fmt: skip
    return preparation_of({"default": preset}, {})


@st.composite
def attacks(draw: st.DrawFn) -> dict[str, Any]:
    operation, bodies = draw(st.sampled_from([(CHAT, CHATS), (CHAT, CHATS), (EMBEDDINGS, EMBEDS)]))
    return {
        "operation": operation,
        "bodies": draw(st.lists(bodies, min_size=1, max_size=BODIES)),
        "is_batch": draw(st.booleans()),
        "preset": draw(st.none() | st.none() | PAIRS),
        "limit": draw(LIMITS),
        "is_prepaid": draw(st.booleans()),
        "rules": draw(RULES),
        "lie": draw(st.none() | st.sampled_from(LIES)),
        "seed": draw(st.integers(0, 2**32)),
    }


async def _attack(attack: dict[str, Any], counts: dict[str, int]) -> None:
    chance = random.Random(attack["seed"])
    wallet, provider = Wallet(chance), Obeying(chance, attack["lie"])
    await wallet.found(attack["limit"], is_prepaid=attack["is_prepaid"], rules=attack["rules"])
    raws, operation = [text_of(body) for body in attack["bodies"]], attack["operation"]
    preparation = None if attack["preset"] is None else _preset(attack["preset"])
    counts["bodies"] += len(raws)
    if attack["is_batch"]:
        wanted = [await wallet.batch(raws, operation, preparation)]
    else:
        wanted = [await wallet.single(raw, operation, preparation) for raw in raws]
    for records in wanted:
        for sent in await wallet.run(records, provider):
            counts["calls"] += 1
            read = json.loads(sent.body)
            unknown = {n for n, v in read.items() if v is not None} - PARAMETERS[operation].keys()
            assert sent.endpoint == "open" or not unknown, "a budget does not know what it costs"
            if provider.lie is None:
                assert sent.row.disputed_usd is None, "an honest provider used more than is held"
    assert wallet.used <= wallet.limit


def test_no_budget_and_no_credits_are_exceeded(effort: Effort, tell: Callable[[str], None]) -> None:
    counts = {"bodies": 0, "calls": 0}

    @settings(
        max_examples=effort(250, 10_000), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(attacks())
    def check(attack: dict[str, Any]) -> None:
        asyncio.run(_attack(attack, counts))

    check()
    tell(f"{counts['bodies']} bodies, {counts['calls']} calls")
    assert counts["bodies"] >= effort(150, 20_000)
    assert counts["calls"] >= counts["bodies"] / 10
