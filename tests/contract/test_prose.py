"""The words that the project does not use are found, with their place and what to write instead."""

from pathlib import Path

import pytest

from support.prose import CHECKED, EXCEPTIONS, ROOT, check, check_text, main

EXAMPLES = {
    "nobody": ("Nobody reads it.", "No stage reads it."),
    "who": ("Callers who wait get a 503.", "Waiting callers get a 503."),
    "he": ("The worker commits what he read.", "The worker commits the records that it read."),
    "tell": ("Tells the shard of it.", "Reports it to the shard."),
    "say": ("Say whether it is ready.", "Return whether it is ready."),
    "none is": ("None is there.", "The value is None."),
    "lie": ("Pages lie in a topic.", "Pages are in a topic."),
    "stand": ("The offset stands in the header.", "The offset is in the header."),
    "heir": ("The heir reads it.", "The next owner reads it."),
    "dead": ("A worker that was taken for dead.", "A worker that was presumed dead."),
    "hands": ("Lines in their hands.", "Lines in flight."),
    "go on": ("Work goes on.", "Work continues."),
    "anew": ("It begins anew.", "It starts again."),
    "all the same": ("It is there all the same.", "It is there anyway."),
    "set aside": ("Money is set aside.", "Money is held."),
    "own key": ("Sealed own provider keys.", "Sealed BYOK keys."),
    "for": ("It waits, for it is early.", "It waits because it is early."),
    "is no": ("stdin is no terminal", "stdin is not a terminal"),
    "what": ("Done. What waits is dropped.", "Done. Waiting lines are dropped."),
    "of": ("Of its last change.", "Number of its last change."),
}


@pytest.mark.parametrize(("bad", "good"), EXAMPLES.values(), ids=EXAMPLES)
def test_each_rule_finds_its_words_and_takes_its_own_advice(bad: str, good: str) -> None:
    assert len(list(check_text("page.md", bad))) == 1
    assert list(check_text("page.md", good)) == []


def test_a_finding_names_file_line_words_and_replacement() -> None:
    source = (
        'x = 1\n\n\ndef run() -> None:\n    """Run it.\n\n    The heir\n    reads it.\n    """\n'
    )

    (found,) = check_text("a/b.py", source)

    assert str(found) == "a/b.py:7: 'heir': write 'the next owner'"


def test_words_that_are_parted_by_a_line_are_found_on_the_line_that_they_begin_on() -> None:
    (found,) = check_text("a.py", "# first line, it goes\n# on here\n")

    assert (found.line, found.words) == (1, "goes on")


def test_names_and_single_words_in_code_are_no_prose() -> None:
    source = 'told = {"who": says("nobody")}  # a comment\n'

    assert list(check_text("a.py", source)) == []


def test_code_on_a_page_is_no_prose() -> None:
    page = "Run `crossdock tell`:\n\n```\nwho says so\n```\n\n[link](who/told.md)\n"

    assert list(check_text("page.md", page)) == []


def test_comments_of_columns_and_statements_are_prose() -> None:
    sql = "-- Nobody reads it.\nCREATE TABLE who (a String COMMENT 'what it tells')\n"

    assert [(found.line, found.words) for found in check_text("a.sql", sql)] == [
        (1, "Nobody"),
        (2, "tells"),
    ]


def test_the_command_fails_for_a_file_with_findings(capsys: pytest.CaptureFixture[str]) -> None:
    bad = Path(__file__).relative_to(ROOT)

    assert main([str(bad)]) == 1
    assert f"{bad}:" in capsys.readouterr().out
    assert main(["tests/support/prose.py"]) == 0


def test_clean_folders_are_clean() -> None:
    assert list(map(str, check(CHECKED))) == []


@pytest.mark.parametrize("path", CHECKED)
def test_a_clean_folder_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_exception_is_needed_and_has_a_reason() -> None:
    for (file, words), reason in EXCEPTIONS.items():
        found = check_text(file, (ROOT / file).read_text())
        assert words in {one.words for one in found}, file
        assert reason
