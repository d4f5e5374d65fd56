"""A wallet under attack: the real doors, shard, plan and books, around an invented provider."""

import json
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from crossdock.accounts.partition import AccountsPartition
from crossdock.accounts.state.holds import HoldOwner
from crossdock.batches.core.background_results import ReadLines, Validated
from crossdock.batches.core.line_check import LineRules
from crossdock.batches.core.line_feeder import cut, make_parcel
from crossdock.batches.core.line_locations import LineLocations
from crossdock.batches.core.state import ModelLines
from crossdock.batches.line_reader import read_lines
from crossdock.batches.validation import InputLimits, validate
from crossdock.ingress.commands.records import make_request_record
from crossdock.ingress.http.auth import Principal
from crossdock.ingress.values.batch_lines import make_line
from crossdock.ingress.values.checks import check_request
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import parse_object
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.requests.preparation import PreparationFault, prepare
from crossdock.provider.adapters import openai
from crossdock.provider.adapters.types import BrokenAnswer, UnreadableLineError
from crossdock.provider.classify import judge_fault
from crossdock.provider.usage_rows import CallTiming, LineBook
from crossdock.router.policy import NoRoute, plan_route
from crossdock_schemas.accounts.control import (
    BudgetChange,
    Command,
    Credited,
    PolicyChange,
    PrepaymentSet,
)
from crossdock_schemas.accounts.credit import CreditKind
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.accounts.preset import Preparation
from crossdock_schemas.calls.usage import Usage, UsageGroup, hold_end
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import BatchId, KeyId, RequestId
from crossdock_schemas.money import Units, to_units
from crossdock_schemas.operations import SPECS
from crossdock_schemas.parcel.parcel import Parcel, split_lines
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import ACCOUNT_COMMANDS, ADMITTED, REQUESTS, USAGE
from crossdock_schemas.windows import Window
from support.builders import make_batch
from support.obeying import Obeying
from unit.accounts.builders import ACME, NOW_MS, PROJECT, ask_key, common, make_founded, make_key

APP = KeyId("key_app")
CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"


def _provider(name: str, input_: str, output: str, unknown: Any = "auto", **known: int) -> Provider:
    prices = Prices(
        input=Decimal(input_), output=Decimal(output), cached=Decimal("0.1"),
        cache_write=Decimal(input_) * 2, request=Decimal("0.0001"),
    )  # fmt: skip
    offers = (
        Offer(model="tern", prices=prices, **known),
        Offer(model="wren", operations=(EMBEDDINGS,), prices=prices),
    )
    return Provider(name=name, base_url="http://x", models=offers, unknown_parameters=unknown)


CATALOGUE = Catalogue(
    providers=(
        _provider("cheap", "0.1", "0.4", max_output_tokens=64),
        _provider("dear", "20", "80", context_length=4096),
        _provider("open", "1", "4", "pass", max_output_tokens=300, context_length=500),
        _provider("vague", "3", "9"),
    )
)


class Sent(NamedTuple):
    """A call that reached the provider, with its row."""

    body: bytes
    endpoint: str
    row: Usage


class Wallet:
    """An organization with a strict budget, or with prepaid credits, of `limit` USD."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.objects = open_objects("memory://")
        self.partition = AccountsPartition(
            CATALOGUE, self.objects, ManualClock(NOW_MS), health=Health("accounts", 0)
        )
        self.number = 0
        self.limit: Units = 0

    async def found(self, limit: Decimal, *, is_prepaid: bool, rules: Rules | None) -> None:
        self.limit = to_units(limit)
        commands: list[Command] = [make_founded(), ask_key(make_key(APP))]
        if is_prepaid:
            commands.append(PrepaymentSet(**common(), is_prepaid=True))
            commands.append(Credited(**common(), kind=CreditKind.GRANT, amount_usd=limit, reference="r"))  # fmt: skip
        else:
            budget = {"scope": self.chance.choice([ACME, PROJECT, APP]), "window": Window.TOTAL}
            commands.append(BudgetChange(**common(), **budget, limit_usd=limit, include_byok=True))
        if rules is not None:
            commands.append(PolicyChange(**common(), scope=PROJECT, rules=rules))
        await self.step([(ACCOUNT_COMMANDS.name, one.to_json(), ()) for one in commands])

    async def step(self, records: Sequence[tuple[str, bytes | None, Any]]) -> Sequence[Outgoing]:
        found = [
            Record(topic, 0, n, NOW_MS, ACME.encode(), value, tuple(headers))
            for n, (topic, value, headers) in enumerate(records)
        ]
        return (await self.partition.step(found)).outgoing

    @property
    def used(self) -> Units:
        """What is spent and held."""
        return self.partition.core.states[ACME].totals_of(ACME).used(Window.TOTAL)

    async def single(self, raw: bytes, operation: str, preparation: Preparation | None) -> list[Outgoing]:  # fmt: skip
        """Return the request's record, as ingress makes it; empty: it is refused."""
        self.number += 1
        request_id = RequestId(f"req_{self.number:032x}")
        try:
            prepared = prepare(parse_object(raw), operation, preparation)
            if isinstance(prepared, PreparationFault):
                return []
            wish = check_request(prepared.body, operation, CATALOGUE)
            line = make_line(request_id, operation, raw, prepared.body, is_changed=prepared.is_changed)  # fmt: skip
        except RefusedError:
            return []
        ask = SPECS[operation].ask(prepared.body, len(line))
        who = Principal(ACME, PROJECT, APP, None)
        times = {"now_ms": NOW_MS, "deadline_ms": NOW_MS + 60_000}
        return [make_request_record(who, request_id, operation, wish, line, ask, None, **times)]

    async def batch(self, raws: Sequence[bytes], operation: str, preparation: Preparation | None) -> list[Outgoing]:  # fmt: skip
        """Return the parcels of a batch, as batches makes them; empty: it does not pass validation."""
        self.number += 1
        head = f'"method": "POST", "url": "{operation}"'
        content = b"\n".join(
            b'{"custom_id": "line-%d", %s, "body": %s}' % (n, head.encode(), raw.replace(b"\n", b" "))
            for n, raw in enumerate(raws)
        )  # fmt: skip
        await self.objects.put("input", content)
        if preparation is not None:
            await self.objects.put("preparation", preparation.to_json())
        batch = make_batch(
            batch_id=BatchId(f"batch_{self.number:032x}"), input_path="input", input_bytes=len(content),
            preparation_path=None if preparation is None else "preparation", operation=operation,
            account=ACME, project=PROJECT, key_id=APP, expires_at_ms=NOW_MS + 86_400_000,
        )  # fmt: skip
        rules = LineRules(operation, CATALOGUE.models, 10**6)
        checked = await validate(self.objects, batch, rules, InputLimits(1000, 10**8))
        if not isinstance(checked, Validated):
            return []
        places = LineLocations("input", len(content), checked.prepared_path)
        ((model, count),) = checked.models
        read = await read_lines(self.objects, places, ReadLines(batch.batch_id, model, 0, 0, count, False))  # fmt: skip
        lines, position = ModelLines(model, 0, count), 0
        records = []
        for group in cut(read.lines, parcel_lines=20):
            records.append(make_parcel(batch, lines, group, NOW_MS, position=position))
            position += len(group)
        return records

    async def run(self, wanted: Sequence[Outgoing], provider: Obeying) -> list[Sent]:
        """Admit the parcels, call the provider for each line, and book what it reports."""
        outgoing = await self.step([(REQUESTS.name, one.value, one.headers) for one in wanted])
        sent: list[Sent] = []
        for record in outgoing:
            if record.topic == ADMITTED.name:
                parcel = decode_envelope(record.headers, Parcel)
                assert self.used <= self.limit, "more is held than there is"
                sent += await self._call(parcel, record.value or b"", provider)
        return sent

    async def _call(self, parcel: Parcel, value: bytes, provider: Obeying) -> list[Sent]:
        plan = plan_route(parcel, CATALOGUE, {}, now_ms=NOW_MS, sick_error_rate=0.5)
        assert not isinstance(plan, NoRoute)
        assert parcel.hold is not None
        assert parcel.hold.is_limited
        attempt = self.chance.randint(1, len(plan.candidates))  # those before it answered 503
        parcel = parcel.model_copy(update={"plan": plan, "attempt": attempt})
        sent = []
        for line, raw in zip(parcel.lines, split_lines(value), strict=True):
            try:
                call = openai.make_call(raw, parcel.candidate)
            except UnreadableLineError:
                continue
            reply = openai.read_answer(parcel.operation, provider.answer(call.body, parcel.candidate.provider))  # fmt: skip
            judged = judge_fault(reply.outcome, reply.code) if isinstance(reply, BrokenAnswer) else reply  # fmt: skip
            book = LineBook(parcel, line, "life", tolerance=100.0)
            row = book.row(call, 1, judged, CallTiming(NOW_MS, NOW_MS), status=200, provider_request_id=None, repeat_of=None)  # fmt: skip
            sent.append(Sent(call.body, parcel.candidate.provider, row))
        holds = self.partition.core.ledger.books.holds
        cost = sum((one.row.cost.total for one in sent), Decimal(0))
        assert parcel.hold is not None
        hold = holds.find(HoldOwner(ACME, APP), parcel.hold.hold_id)
        assert hold is not None
        assert to_units(cost) <= hold.held, "calls cost more than their hold"
        ended = hold_end(parcel, parcel.lines)
        group = UsageGroup(executions=tuple(one.row for one in sent), ended=(ended,))
        for one in (UsageGroup(executions=group.executions), group):  # the second is a repetition
            await self.step([(USAGE.name, one.to_json(), ())])
            assert self.used <= self.limit, "more is spent and held than there is"
        return sent


def text_of(fields: Sequence[tuple[str, Any]]) -> bytes:
    """Return a JSON object with these fields in this order, also where a name comes twice."""
    pairs = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields)
    return ("{" + ", ".join(pairs) + "}").encode()
