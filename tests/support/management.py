"""A command line whose API for accounts is a few lines of answers."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from typing_extensions import override

from crossdock.audit.policy_replay import PastRequests
from crossdock.cli.app import main
from crossdock.cli.shared.client import ApiClient
from crossdock.cli.shared.doors import Doors
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.accounts.control import Change, Command
from crossdock_schemas.accounts.secret import SealedSecret

PLAIN = "sk-cd-v1-plain"
HASH = "ab" * 32
Answer = Callable[[httpx.Request], httpx.Response]


def make_key(**fields: object) -> dict[str, Any]:
    return {
        "id": "key_1",
        "hash": HASH,
        "name": "ci",
        "label": "sk-cd-v1-pl...ain",
        "disabled": False,
        "role": None,
        "project_id": "proj_1",
        "organization_id": "org_1",
        "tags": {},
        "allowed_ips": [],
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
        "expires_at": None,
        "creator_key_id": None,
        "rotated_from": None,
        "limit": None,
        "limit_reset": None,
        "limit_remaining": None,
        "include_byok_in_limit": False,
    } | fields


def make_project(**fields: object) -> dict[str, Any]:
    return {
        "id": "proj_1",
        "name": "production",
        "disabled": False,
        "tags": {"team": "search"},
        "organization_id": "org_1",
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
    } | fields


def make_policy(**fields: object) -> dict[str, Any]:
    return {
        "scope": "proj_1",
        "level": "project",
        "organization_id": "org_1",
        "allowed_models": ["tern-*"],
        "ignored_models": [],
        "allowed_providers": None,
        "ignored_providers": ["cinder"],
        "max_price": {"prompt": "0.5", "completion": None, "request": None},
        "data_collection": None,
        "zdr": False,
        "allowed_data_regions": None,
        "quantizations": None,
        "max_tokens": None,
        "tools": None,
        "content_filter_builtins": [],
        "content_filters": [],
        "version": 7,
        "updated_at": "2026-01-31T12:00:00Z",
    } | fields


def make_preset(**fields: object) -> dict[str, Any]:
    """Return a preset as the API shows it."""
    values: dict[str, Any] = {
        "slug": "brief",
        "scope": "org_1",
        "level": "organization",
        "organization_id": "org_1",
        "model": "tern-mini",
        "parameters": {"temperature": 0.5},
        "system": "Be brief.",
        "description": None,
        "version": 7,
        "updated_at": "2026-01-29T12:00:00Z",
    }
    return values | fields


def make_budget(**fields: object) -> dict[str, Any]:
    return {
        "scope": "proj_1",
        "level": "project",
        "organization_id": "org_1",
        "window": "daily",
        "limit_usd": "12.50",
        "overshoot_usd": "0",
        "spend_usd": "2.25",
        "held_usd": "0.25",
        "remaining_usd": "10.00",
        "resets_at": "2026-02-01T00:00:00Z",
        "version": 7,
        "updated_at": "2026-01-31T12:00:00Z",
    } | fields


def make_organization(**fields: object) -> dict[str, Any]:
    return {
        "id": "org_1",
        "name": "acme",
        "is_operator": False,
        "max_key_life_s": 0,
        "allowed_ips": [],
        "is_prepaid": False,
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
    } | fields


def make_worth(**fields: object) -> dict[str, Any]:
    return {
        "total_credits": 100.0,
        "total_usage": 12.5,
        "balance_usd": "87.5",
        "held_usd": "0.25",
        "is_prepaid": True,
        "expiring": [{"expires_at": "2026-03-31T12:00:00Z", "amount_usd": "20.5"}],
    } | fields


def make_credit(**fields: object) -> dict[str, Any]:
    return {
        "id": "credit_1",
        "kind": "top_up",
        "amount_usd": "100",
        "fee_usd": "5.5",
        "reference": "invoice-17",
        "note": None,
        "created_at": "2026-01-31T12:00:00Z",
        "expires_at": None,
    } | fields


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it wrote."""

    code: object
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A person at the keyboard."""

    @override
    def isatty(self) -> bool:
        return True


@dataclass
class Shell:
    """Runs commands as `crossdock` does, and remembers what they asked of the API."""

    capsys: pytest.CaptureFixture[str]
    asked: list[httpx.Request] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    answer: Answer = lambda _: httpx.Response(500)
    past: Sequence[PastRequests] = ()
    """The rows of ClickHouse."""
    usual: Mapping[str, float] = field(default_factory=dict)
    """The length of answers by model, as ClickHouse has it."""
    looks: list[tuple[str, str, float, int]] = field(default_factory=list)
    typed: str = ""
    """The text typed at a hidden prompt."""
    applied: list[tuple[str, Outgoing, Command]] = field(default_factory=list)
    """The commands that were sent to the accounts shard, with Kafka's address."""
    outcome: Callable[[Command], Change | None] = lambda _: None
    """The shard's answer to them."""
    sealed: Mapping[str, SealedSecret] = field(default_factory=dict)
    """The records on the topic of secrets."""

    def says(self, value: object, status: int = 200) -> None:
        self.answer = lambda _: httpx.Response(status, json=value)

    def run(self, *words: str) -> Outcome:
        doors = Doors(
            make_client=self._make_client,
            read_requests=self._read_asked,
            read_secret=lambda _: self.typed,
            read_sealed=lambda _: self.sealed,
            apply_command=self._applied,
            read_answer_lengths=lambda _, __: self.usual,
        )
        with pytest.raises(SystemExit) as ended:
            main(words, doors)
        written = self.capsys.readouterr()
        return Outcome(ended.value.code, written.out, written.err)

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [(request.method, request.url.path) for request in self.asked]

    @property
    def body(self) -> Any:
        """Return what the last request carried."""
        return json.loads(self.asked[-1].content)

    def _make_client(self, base_url: str, key: str) -> ApiClient:
        self.keys.append(key)
        return ApiClient(base_url, key, transport=httpx.MockTransport(self._handle))

    def _applied(
        self, servers: str, message: Outgoing, command: Command, _timeout_s: float
    ) -> Change | None:
        self.applied.append((servers, message, command))
        return self.outcome(command)

    def _read_asked(
        self, url: str, account: str, hours: float, most: int
    ) -> Sequence[PastRequests]:
        self.looks.append((url, account, hours, most))
        return self.past

    def _handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        return self.answer(request)
