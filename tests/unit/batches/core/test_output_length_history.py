"""How long answers usually are: the mean of the latest ones, also after a restart."""

import pytest

from crossdock.batches.core.output_length_history import OutputLengthHistory
from crossdock.kernel.process.record import Page
from crossdock_schemas.ids import AccountId
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.tokens import Tokens
from support.builders import make_result

ACME = AccountId("org_acme")


def note(
    output_lengths: OutputLengthHistory, *outputs: int, outcome: Outcome = Outcome.COMPLETED
) -> None:
    for output in outputs:
        output_lengths.note(ACME, make_result(tokens=Tokens(output=output), outcome=outcome))


def test_it_is_the_mean_by_account_and_model() -> None:
    output_lengths = OutputLengthHistory()

    note(output_lengths, 10, 20, 60)

    assert output_lengths.of(ACME) == {"tern": 30.0}
    assert output_lengths.of(AccountId("org_other")) == {}


def test_what_failed_says_nothing() -> None:
    output_lengths = OutputLengthHistory()

    note(output_lengths, 10, outcome=Outcome.FAILED)

    assert output_lengths.of(ACME) == {}
    assert output_lengths.pages.finish() == []


def test_earlier_answers_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossdock.batches.core.output_length_history.LATEST", 4)
    output_lengths = OutputLengthHistory()

    note(output_lengths, *[1000] * 10, *[0] * 40)

    assert output_lengths.of(ACME)["tern"] < 1


def test_the_next_owner_knows_it() -> None:
    first, second = OutputLengthHistory(), OutputLengthHistory()
    note(first, 10, 20)

    pages = first.pages.finish()
    second.pages.restore([*pages, Page(b"output_lengths/org_gone", None)])
    note(second, 30)

    assert all(first.pages.owns(page) for page in pages)
    assert second.of(ACME) == {"tern": 20.0}
    assert first.pages.finish() == []
