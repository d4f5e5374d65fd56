"""Credits over HTTP, with the accounts shard's own core behind it; and what payment providers tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from crossdock.accounts.commands.dispatch import Commands
from crossdock_schemas.accounts.control import account_command
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.topics import ACCOUNT_COMMANDS
from integration.ingress.fakes import API_KEY, Ingress, running_ingress
from integration.ingress.management.test_budgets import spend
from integration.ingress.views.test_accounts import Management, managed, other_organization
from support.payments import SECRET, make_event, sign

Json = dict[str, Any]
RECEIVED = {"received": True, "ignored": False, "repeated": False}
CARD = Terms(fee_percent=Decimal("5.5"), fee_minimum_usd=Decimal("0.80"))


async def book(owner: Management, account: str, usd: object, kind: str = "grant", **more: Any) -> httpx.Response:  # fmt: skip
    body = {"kind": kind, "amount_usd": usd, "reference": f"{kind} {usd}"} | more
    return await owner.ask("POST", f"/organizations/{account}/credits", body)


async def prepay(owner: Management, account: str, is_prepaid: bool = True) -> httpx.Response:
    body = {"is_prepaid": is_prepaid}
    return await owner.ask("PUT", f"/organizations/{account}/prepayment", body)


async def worth(owner: Management) -> Json:
    found: Json = (await owner.ask("GET", "/credits")).json()["data"]
    return found


def asked(ingress: Ingress) -> list[str]:
    sent = ingress.world.sent_to(ACCOUNT_COMMANDS.name)
    return [account_command.validate_json(message.value or b"").do for message in sent]


async def test_an_organization_sees_what_the_operator_booked_the_newest_first() -> None:
    async with managed() as (ingress, owner):
        organization, key = await other_organization(owner)
        theirs = Management(ingress, key)
        none = await worth(theirs)
        first = await book(owner, organization["id"], "12.50", note="welcome")
        ingress.clock.advance(1000)
        second = await book(owner, organization["id"], -2.5, "refund", reference="wire 7")
        seen = (await theirs.ask("GET", "/credits/entries")).json()
        by_operator = (await owner.ask("GET", f"/organizations/{organization['id']}/credits")).json()  # fmt: skip
        by_themselves = (await theirs.ask("GET", f"/organizations/{organization['id']}/credits")).json()  # fmt: skip
        found = await worth(theirs)

    assert (first.status_code, second.status_code) == (201, 201), second.text
    assert seen == by_operator == by_themselves
    assert seen["data"] == [second.json()["data"], first.json()["data"]]
    entry = first.json()["data"]
    assert entry == {
        "id": entry["id"],
        "kind": "grant",
        "amount_usd": "12.5",
        "fee_usd": "0",
        "reference": "grant 12.50",
        "note": "welcome",
        "created_at": "2027-01-15T08:00:00Z",
        "expires_at": None,
    }
    nothing: Json = {"total_credits": 0.0, "total_usage": 0.0, "balance_usd": None, "held_usd": "0", "is_prepaid": False, "expiring": []}  # fmt: skip
    assert (none, found) == (nothing, nothing | {"total_credits": 10.0})


@pytest.mark.parametrize("is_own", [True, False], ids=["the operator's own", "another's"])
async def test_the_same_reference_again_is_a_conflict_and_books_nothing(is_own: bool) -> None:
    async with managed() as (_, owner):
        account = "org_local" if is_own else (await other_organization(owner))[0]["id"]
        made = await book(owner, account, 5, reference="wire 1")
        again = await book(owner, account, 5, reference="wire 1")
        found = (await owner.ask("GET", f"/organizations/{account}/credits")).json()["data"]

    assert (made.status_code, again.status_code) == (201, 409)
    assert "'wire 1' is booked already" in again.json()["error"]["message"]
    assert found == [made.json()["data"]]


async def test_two_organizations_may_have_the_same_reference() -> None:
    async with managed() as (_, owner):
        other = (await other_organization(owner))[0]["id"]
        statuses = [(await book(owner, account, 5)).status_code for account in ("org_local", other)]

    assert statuses == [201, 201]


async def test_a_fee_comes_on_top_of_what_is_paid_for() -> None:
    async with managed() as (ingress, owner):
        ingress.world.accounts.commands = Commands(CARD)  # as the accounts stage's settings would
        made = (await book(owner, "org_local", 100, "top_up")).json()["data"]

    assert (made["amount_usd"], made["fee_usd"]) == ("100", "5.5")


async def test_credits_that_expire_are_shown_the_soonest_first() -> None:
    async with managed() as (ingress, owner):
        later = await book(owner, "org_local", 5, "top_up", expires_at="2028-01-01T00:00:00Z")
        ingress.clock.advance(1000)
        soon = await book(owner, "org_local", 7, expires_at="2027-06-01T02:00:00+02:00")
        past = await book(owner, "org_local", 9, expires_at="2020-01-01T00:00:00Z")
        wrong = await book(owner, "org_local", 3, "adjustment", expires_at="2028-01-01T00:00:00Z")
        shown = (await worth(owner))["expiring"]

    assert [r.status_code for r in (later, soon, past, wrong)] == [201, 201, 400, 400]
    assert soon.json()["data"]["expires_at"] == "2027-06-01T00:00:00Z"
    assert "in the past" in past.json()["error"]["message"]
    assert shown == [
        {"expires_at": "2027-06-01T00:00:00Z", "amount_usd": "7"},
        {"expires_at": "2028-01-01T00:00:00Z", "amount_usd": "5"},
    ]


async def test_from_the_moment_on_that_credits_are_needed_what_is_spent_counts() -> None:
    async with managed() as (ingress, owner):
        own = await prepay(owner, "org_local")
        spend(ingress, total_usd="4.5", held_usd="0.25")
        await book(owner, "org_local", 10)
        found = await worth(owner)
        shown = (await owner.ask("GET", "/organization")).json()
        again = await prepay(owner, "org_local")
        off = await prepay(owner, "org_local", is_prepaid=False)
        without = await worth(owner)

    assert [r.status_code for r in (own, again, off)] == [200, 200, 200]
    assert (own.json()["data"]["is_prepaid"], off.json()["data"]["is_prepaid"]) == (True, False)
    assert shown["data"]["is_prepaid"] is True
    assert found == {
        "total_credits": 10.0,
        "total_usage": 4.5,
        "balance_usd": "5.5",
        "held_usd": "0.25",
        "is_prepaid": True,
        "expiring": [],
    }
    assert (without["balance_usd"], without["is_prepaid"]) == (None, False)


@pytest.mark.parametrize("role", ["admin", "member", "analyst", "owner"])
async def test_only_the_operators_owners_book_but_all_see_their_own(role: str) -> None:
    async with managed() as (ingress, owner):
        organization, theirs = await other_organization(owner)
        other = organization["id"]
        if role == "owner":
            who, own = Management(ingress, theirs), other
        else:
            who, own = Management(ingress, (await owner.make_key(role=role))["key"]), "org_local"
        booked = [await book(who, account, 5) for account in ("org_local", other)]
        set_ = [await prepay(who, account) for account in ("org_local", other)]
        listed = {
            account: (await who.ask("GET", f"/organizations/{account}/credits")).status_code
            for account in ("org_local", other)
        }
        seen = [(await who.ask("GET", path)).status_code for path in ("/credits", "/credits/entries")]  # fmt: skip
        made = (await owner.ask("GET", f"/organizations/{other}/credits")).json()["data"]

    refused = [404, 403] if role == "owner" else [403, 403]
    assert [r.status_code for r in booked] == [r.status_code for r in set_] == refused
    assert listed[own] == 200
    assert sorted(listed.values()) == [200, 404 if role == "owner" else 403]
    assert (seen, made) == ([200, 200], [])


async def test_an_inference_key_sees_no_credits() -> None:
    async with managed() as (ingress, _):
        who = Management(ingress, API_KEY)
        statuses = [
            (await who.ask("GET", path)).status_code
            for path in ("/credits", "/credits/entries", "/organizations/org_local/credits")
        ]

    assert statuses == [403, 403, 403]


async def test_an_organization_that_is_none_gets_nothing() -> None:
    async with managed() as (ingress, owner):
        answers = [
            await book(owner, "org_none", 5),
            await prepay(owner, "org_none"),
            await owner.ask("GET", "/organizations/org_none/credits"),
        ]

        assert asked(ingress) == []
    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"kind": None}, "kind"),
        ({"kind": "gift"}, "kind"),
        ({"amount_usd": None}, "amount_usd"),
        ({"amount_usd": "5 USD"}, "amount_usd"),
        ({"amount_usd": "0.0000001"}, "amount_usd"),
        ({"reference": None}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "r" * 256}, "reference"),
        ({"note": 7}, "note"),
        ({"amount": 1}, "amount"),
        ({"kind": "lapse"}, "kind"),
        ({"expires_at": "soon"}, "expires_at"),
    ],
    ids=[
        "no kind", "another kind", "no amount", "no number", "too fine", "no reference", "an empty one", "a long one",
        "no text", "typo", "what the time books", "no time",
    ],
)  # fmt: skip
async def test_a_credit_that_is_not_sound_is_refused_by_name(change: Json, param: str) -> None:
    async with managed() as (ingress, owner):
        response = await book(owner, "org_local", 5, **change)

        assert asked(ingress) == []
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("body", [{}, {"is_prepaid": None}, {"is_prepaid": "yes"}, {"prepaid": 1}])
async def test_prepayment_is_asked_for_by_yes_or_no(body: Json) -> None:
    async with managed() as (ingress, owner):
        response = await owner.ask("PUT", "/organizations/org_local/prepayment", body)

        assert asked(ingress) == []
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("usd", "kind"), [(-1, "top_up"), (0, "grant"), (1, "refund"), (0, "adjustment"), (-1, "refund")]
)  # fmt: skip
async def test_what_the_shard_refuses_is_told_with_its_reason(usd: int, kind: str) -> None:
    async with managed() as (_, owner):
        response = await book(owner, "org_local", usd, kind)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_request"


async def test_a_shard_that_does_not_answer_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossdock.ingress.commands.account_commands.ANSWER_S", 0.05)
    async with managed() as (ingress, owner):
        ingress.world.is_silent = True
        response = await book(owner, "org_local", 5)

    assert response.status_code == 503


@asynccontextmanager
async def paid(**settings: Any) -> AsyncIterator[tuple[Ingress, Management]]:
    async with running_ingress(**({"stripe_webhook_secret": SECRET} | settings)) as ingress:
        yield ingress, Management(ingress)


async def tell(ingress: Ingress, raw: bytes | None = None, header: str | None = None) -> httpx.Response:  # fmt: skip
    raw = make_event() if raw is None else raw
    signed = sign(raw, ingress.clock.now_ms() // 1000) if header is None else header
    async with httpx.AsyncClient(base_url=ingress.url, timeout=120) as stripe:  # without a key
        headers = {"stripe-signature": signed, "content-type": "application/json"}
        return await stripe.post("/v1/webhooks/stripe", content=raw, headers=headers)


async def test_a_payment_is_credited_less_its_fee() -> None:
    async with paid() as (ingress, owner):
        ingress.world.accounts.commands = Commands(CARD)  # as the accounts stage's settings would
        answer = await tell(ingress)
        (entry,) = (await owner.ask("GET", "/credits/entries")).json()["data"]
        (credit,) = ingress.dock.accounts.credits.values()

    assert (answer.status_code, answer.json()) == (200, RECEIVED)
    assert (entry["kind"], entry["reference"]) == ("top_up", "stripe cs_test_1")
    assert (entry["amount_usd"], entry["fee_usd"]) == ("100", "5.5")
    assert credit.actor is None


async def test_a_payment_that_is_told_again_counts_once() -> None:
    """Stripe tells of it until it is answered, sometimes afterwards, and by the session's other event."""
    async with paid() as (ingress, owner):
        other = make_event("checkout.session.async_payment_succeeded")
        at_once = await asyncio.gather(tell(ingress), tell(ingress))
        later = [await tell(ingress), await tell(ingress, other)]
        entries = (await owner.ask("GET", "/credits/entries")).json()["data"]

    repeated = RECEIVED | {"repeated": True}
    assert sorted(answer.json()["repeated"] for answer in at_once) == [False, True]
    assert [answer.json() for answer in later] == [repeated, repeated]
    assert [entry["amount_usd"] for entry in entries] == ["105.5"]


@pytest.mark.parametrize(
    "raw",
    [make_event("payment_intent.succeeded"), make_event(payment_status="unpaid")],
    ids=["the same money by another name", "not paid yet"],
)
async def test_other_events_are_received_and_ignored(raw: bytes) -> None:
    async with paid() as (ingress, _):
        answer = await tell(ingress, raw)

        assert asked(ingress) == []
    assert (answer.status_code, answer.json()) == (200, RECEIVED | {"ignored": True})


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ({"metadata": {"organization_id": "org_none"}}, "There is no such organization"),
        ({"metadata": {}}, "metadata.organization_id"),
        ({"currency": "eur"}, "Expected 'usd'"),
        ({"amount_total": 80}, "Nothing is left to credit"),
    ],
    ids=["unknown", "of nobody", "other money", "the fee takes it all"],
)
async def test_a_payment_that_cannot_be_booked_says_why_to_both_sides(session: Json, said: str) -> None:  # fmt: skip
    async with paid() as (ingress, owner):
        ingress.world.accounts.commands = Commands(CARD)  # as the accounts stage's settings would
        with capture_logs() as logs:
            answer = await tell(ingress, make_event(**session))
        entries = (await owner.ask("GET", "/credits/entries")).json()["data"]

    (event,) = [one for one in logs if one["event"] == "payment.refused"]
    assert (answer.status_code, entries) == (400, [])
    assert event["log_level"] == "warning"
    assert said in answer.json()["error"]["message"]
    assert said in event["reason"]


async def test_what_is_not_signed_is_refused_and_not_even_logged() -> None:
    async with paid() as (ingress, _):
        now_s = ingress.clock.now_ms() // 1000
        with capture_logs() as logs:
            answers = [
                await tell(ingress, header=header)
                for header in ("", "t=1,v1=0", sign(make_event(), now_s - 301), sign(b"{}", now_s))
            ]

        assert asked(ingress) == []
    assert [answer.status_code for answer in answers] == [400, 400, 400, 400]
    assert {answer.json()["error"]["code"] for answer in answers} == {"invalid_signature"}
    assert [one for one in logs if one["event"] == "payment.refused"] == []


async def test_what_is_too_large_is_not_read_to_its_end() -> None:
    async with paid() as (ingress, _):
        answer = await tell(ingress, b" " * (256 * 1024 + 1))

    assert answer.status_code == 413


async def test_without_a_secret_there_is_no_such_endpoint() -> None:
    async with paid(stripe_webhook_secret="") as (ingress, _):
        now_s = ingress.clock.now_ms() // 1000
        answers = [await tell(ingress), await tell(ingress, header=sign(make_event(), now_s, ""))]

        assert asked(ingress) == []
    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_payment_that_the_shard_does_not_confirm_shall_be_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crossdock.ingress.commands.account_commands.ANSWER_S", 0.05)
    async with paid() as (ingress, owner):
        ingress.world.is_silent = True
        lost = await tell(ingress)
        ingress.world.is_silent = False
        again = await tell(ingress)
        entries = (await owner.ask("GET", "/credits/entries")).json()["data"]

    assert (lost.status_code, again.json()) == (503, RECEIVED)
    assert len(entries) == 1
