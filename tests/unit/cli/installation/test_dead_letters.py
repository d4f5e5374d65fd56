"""crossdock dead-letters: what is kept is listed, shown, and sent again once."""

from collections.abc import Callable, Sequence

import pytest

from crossdock.cli.app import main
from crossdock.cli.shared.doors import Doors
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.dead_letters import make_dead_letter
from support.management import Outcome, Shell

NOW_MS = 1_800_000_000_000
LOST = Record("requests", 3, 41, NOW_MS, b"key", b"\xffnot ours", [("ce_id", b"1")])


class FakeTopic:
    """The topic of dead letters: what is sent to it is read again."""

    def __init__(self, count: int) -> None:
        self._kept = make_dead_letter("router", LOST, "no envelope", NOW_MS) * count
        self.sent: list[Outgoing] = []

    def read(self, servers: str) -> list[Record]:
        return [Record(one.topic, 0, n, NOW_MS, one.key, one.value, one.headers) for n, one in enumerate(self._kept)]  # fmt: skip

    def send(self, servers: str, messages: Sequence[Outgoing]) -> None:
        self.sent += messages
        self._kept += [one for one in messages if one.topic != LOST.topic]


Run = Callable[..., Outcome]


@pytest.fixture
def run(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker:9092")
    monkeypatch.setenv("COLUMNS", "200")

    def command(topic: FakeTopic, *words: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(["dead-letters", *words], Doors(read_dead_letters=topic.read, send=topic.send))
        written = capsys.readouterr()
        return Outcome(ended.value.code, written.out, written.err)

    return command


def test_a_dead_letter_is_listed_with_its_place_and_reason(run: Run) -> None:
    topic = FakeTopic(1)

    table = run(topic, "list").out
    (plain,) = run(topic, "list", "--json").json

    row = " ".join(table.splitlines()[1].split())
    assert row == "0 2027-01-15 08:00:00 router requests 3 41 9 kept no envelope"
    assert (plain["number"], plain["stage"], plain["offset"]) == (0, "router", 41)
    assert run(topic, "list", "--topic", "results").err == "no dead letters\n"


def test_a_dead_letter_is_shown_with_its_bytes(run: Run) -> None:
    shown = run(FakeTopic(1), "show", "0").json

    assert (shown["key"], shown["headers"]) == ("key", {"ce_id": "1"})
    assert shown["value"] == "\\xffnot ours"


def test_all_are_replayed_once(run: Run) -> None:
    topic = FakeTopic(2)

    first, second = run(topic, "replay", "--all"), run(topic, "replay", "--all")

    assert (first.code, first.err, second.err) == (0, "replayed 2\n", "replayed 0\n")
    assert [(one.topic, one.partition, one.value) for one in topic.sent[::2]] == [
        ("requests", 3, LOST.value)
    ] * 2
    assert run(topic, "list").out.count("replayed") == 2


def test_a_second_replay_of_a_number_needs_a_word(run: Run) -> None:
    topic = FakeTopic(1)
    run(topic, "replay", "0")

    refused = run(topic, "replay", "0")
    again = run(topic, "replay", "0", "--again")

    assert refused.code == 1
    assert refused.err == "crossdock: already replayed: 0; pass --again to replay them once more\n"
    assert again.err == "replayed 1\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "7"], "no dead letter 7: see `crossdock dead-letters list`"),
        (["replay", "7"], "no dead letter 7: see `crossdock dead-letters list`"),
        (["replay"], "pass the numbers of dead letters, or --all"),
        (["replay", "0", "--all"], "pass the numbers of dead letters, or --all"),
    ],
    ids=["none to show", "none to replay", "no number", "a number and all"],
)
def test_a_number_that_is_none_is_told(run: Run, words: list[str], said: str) -> None:
    topic = FakeTopic(1)

    outcome = run(topic, *words)

    assert (outcome.code, outcome.err, topic.sent) == (1, f"crossdock: {said}\n", [])
