"""crossdock audit: what it says, and how it ends."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from typing_extensions import override

from crossdock.audit.books import AuditBooks, Look, NumberRange, SpendingKey
from crossdock.audit.checks import NAMED
from crossdock.cli.app import main
from crossdock.cli.shared.doors import Doors
from crossdock.kernel.process.errors import CrossdockError, LogUnreachableError, TableError
from support.management import Outcome

A = SpendingKey("org_1", "proj_1", "key_a")
CENT = Decimal("0.010000000000")
WHOLE = AuditBooks(
    control=[NumberRange("org_1", 1, 4, 4, 0)],
    journal=[NumberRange("org_1", 1, 9, 9, 0)],
    spent={A: CENT},
    shard_spent={A: CENT},
)
BEHIND = AuditBooks(spent={A: CENT})


class FakeBooks:
    """Shows its pages one after the other, and the last one ever after."""

    def __init__(self, *pages: AuditBooks) -> None:
        self._pages = pages
        self.looks = 0
        self.opened: list[tuple[str, str]] = []

    async def look(self) -> AuditBooks:
        self.looks += 1
        return self._pages[min(self.looks, len(self._pages)) - 1]

    def open(self, url: str, servers: str) -> AbstractAsyncContextManager[Look]:
        self.opened.append((url, servers))
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Look]:
        yield self.look


class DeadBooks(FakeBooks):
    """Cannot be read."""

    def __init__(self, error: CrossdockError) -> None:
        super().__init__()
        self._error = error

    @override
    async def look(self) -> AuditBooks:
        raise self._error


class Shell:
    """An installation's addresses, and `crossdock audit`."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def audit(self, books: FakeBooks, *words: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *words], Doors(open_books=books.open))
        written = self._capsys.readouterr()
        return Outcome(ended.value.code, written.out, written.err)


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    monkeypatch.setenv("CROSSDOCK_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://dock/v1")
    monkeypatch.setenv("CLICKHOUSE_URL", "http://tables:8123")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "log:9092")
    monkeypatch.delenv("CROSSDOCK_ENV", raising=False)
    return Shell(capsys)


def test_whole_books_end_well_at_once(shell: Shell) -> None:
    books = FakeBooks(WHOLE)

    outcome = shell.audit(books)

    assert (outcome.code, books.looks) == (0, 1)
    assert books.opened == [("http://tables:8123", "log:9092")]
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert lines[1:4] == [
        "control log has no gap ok accounts 1, changes 4, missing 0",
        "journal has no gap ok accounts 1, entries 9, missing 0",
        "entries add up to 0 ok entries 9, unbalanced 0",
    ]
    assert " no " not in outcome.out.replace("has no gap", "")
    assert "journal 0.01 USD" in outcome.out


def test_for_programs_it_is_json(shell: Shell) -> None:
    told = shell.audit(FakeBooks(WHOLE), "--json").json

    assert told["ok"] is True
    assert len(told["checks"]) == 13
    assert told["checks"][4] == {
        "check": "journal matches the shards",
        "ok": True,
        "figures": {"keys": 1, "journal_usd": "0.01", "shard_usd": "0.01", "differing": 0},
        "wrong": 0,
        "differences": [],
    }


def test_a_difference_that_stays_is_named_and_the_exit_code_is_1(shell: Shell) -> None:
    outcome = shell.audit(FakeBooks(BEHIND), "--wait", "0")
    plain = shell.audit(FakeBooks(BEHIND), "--wait", "0", "--json")

    said = "org_1 proj_1 key_a: journal 0.01 USD, shard nothing"
    assert outcome.code == 1
    assert outcome.out.endswith(f"\njournal matches the shards: no\n  {said}\n")
    assert plain.code == 1
    assert plain.json["ok"] is False
    assert plain.json["checks"][4]["differences"] == [said]


@pytest.mark.parametrize(("count", "last"), [(NAMED, "shard nothing"), (NAMED + 2, "and 2 more")])
def test_of_many_differences_some_are_named(shell: Shell, count: int, last: str) -> None:
    spent = {A._replace(key_id=f"key_{number:03}"): CENT for number in range(count)}

    outcome = shell.audit(FakeBooks(AuditBooks(spent=spent)), "--wait", "0")

    assert outcome.out.count("shard nothing") == NAMED
    assert outcome.out.rstrip().endswith(last)


@pytest.mark.parametrize("name", ["CLICKHOUSE_URL", "KAFKA_BOOTSTRAP_SERVERS"])
def test_an_address_that_is_not_known_is_asked_for(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)

    outcome = shell.audit(FakeBooks(WHOLE))

    assert outcome.code == 1
    assert outcome.err.startswith(f"crossdock: set {name}: ")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LogUnreachableError("log:9092"), "no Kafka broker answers at 'log:9092'"),
        (TableError("no ClickHouse answers at tables:8123"), "no ClickHouse answers"),
    ],
    ids=["Kafka", "ClickHouse"],
)
def test_what_cannot_be_reached_is_one_line(shell: Shell, error: CrossdockError, said: str) -> None:
    outcome = shell.audit(DeadBooks(error))

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"crossdock: {said}")
    assert outcome.err.count("\n") == 1
