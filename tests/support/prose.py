"""Checks the language of docstrings, comments, messages and pages by a list of substitutions.

Run: python tests/support/prose.py [PATH...]
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from typing_extensions import override

ROOT = Path(__file__).parents[2]
CHECKED = (
    "schemas",
    "services",
    "tests/support",
    "infra/docker",
    "infra/docs",
    "infra/scripts",
    "README.md",
    "compose.yaml",
)
"""Folders and files that are checked. Decisions stay in the words in which they were made."""
LEFT_OUT = re.compile(r"sql/tables/00(0\d|1[0-3])_")
"""Migrations that ran: migration 0014 has their words as they are now."""
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("schemas/crossdock_schemas/accounts/directory.py", "own key"): "a value in errors of the API",
    ("services/crossdock/simulator/core/sample_text.py", "nobody"): "sample text of answers",
}
"""Words that stay, by file and words, with the reason."""


class Rule(NamedTuple):
    """A pattern, and the words to write instead."""

    pattern: re.Pattern[str]
    instead: str


def _rule(pattern: str, instead: str, *, is_case_sensitive: bool = False) -> Rule:
    return Rule(re.compile(pattern, 0 if is_case_sensitive else re.IGNORECASE), instead)


RULES = (
    _rule(r"\b(nobody|no one)\b", "no caller, no worker, ...: name it"),
    _rule(r"\b(who|whoever|whom|somebody|anybody|everybody)\b", "name the component or the role"),
    _rule(r"\b(he|she|him|his)\b", "it, or the name of the component"),
    _rule(r"\b(tells?|told|telling)\b", "returns, reports, shows, stores"),
    _rule(r"\b(says?|said)\b", "states, shows, reports, contains"),
    _rule(r"\bnone (is|was|were|are)\b", "None, empty, or 'no ...'"),
    _rule(r"\b(lies?|lay|lying) (in|on|at|under|between|beside|there)\b", "is in"),
    _rule(r"\bstands? (in|on|at|there)\b", "is in"),
    _rule(r"\bheirs?\b", "the next owner"),
    _rule(r"\btaken for dead\b", "presumed dead"),
    _rule(r"\bin (its|their|our|hand|hands)( hands?)\b", "in flight, being processed"),
    _rule(r"\b(goes?|went|going) on\b", "continues"),
    _rule(r"\banew\b", "again"),
    _rule(r"\ball the same\b", "anyway, still"),
    _rule(r"\b(set|sets|setting) aside\b", "hold"),
    _rule(r"\bown (provider )?keys?\b", "BYOK key"),
    _rule(r", for (it|they|there|this|that|what|nothing|no|each|every|only)\b", "because"),
    _rule(r"(?<!there )\b(is|are|was|were) no (?!longer\b|more\b|less\b)\w+", "is not a ..."),
    _rule(
        r"(?:^|(?<=[.!?] ))(What|Who|Whose|Whom|Of) (?![^.?!]*\?)",
        "begin with the subject",
        is_case_sensitive=True,
    ),
)


class Finding(NamedTuple):
    """Words that a rule names, and where."""

    file: str
    line: int
    words: str
    instead: str

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words!r}: write {self.instead!r}"


class Passage(NamedTuple):
    """A piece of prose, and the line that it begins on."""

    line: int
    text: str


def python_prose(source: str) -> Iterator[Passage]:
    """Return comments, a run of lines as one, and the strings that hold more than one word."""
    comment: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if comment and token.start[0] != last + 1:
                yield Passage(start, "\n".join(comment))
                comment = []
            start = start if comment else token.start[0]
            last = token.start[0]
            comment.append(token.string.lstrip("# "))
        elif token.type == tokenize.STRING and " " in token.string:
            yield Passage(token.start[0], token.string.lstrip("rbfuRBFU").strip("\"'"))
    if comment:
        yield Passage(start, "\n".join(comment))


def page_prose(source: str) -> Iterator[Passage]:
    """Return the paragraphs of a page without code."""
    text = re.sub(r"```.*?```", lambda found: "\n" * found[0].count("\n"), source, flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "`code`", text)
    for found in re.finditer(r"(?:^(?!\s*$).+\n?)+", text, re.MULTILINE):
        yield Passage(text.count("\n", 0, found.start()) + 1, found[0])


def sql_prose(source: str) -> Iterator[Passage]:
    """Return comments, of statements and of columns."""
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("--"):
            yield Passage(number, line.lstrip("- "))
        yield from (
            Passage(number, text)
            for text in re.findall(r"COMMENT (?:COLUMN \w+ )?'(.*?)'(?!')", line)
        )


def script_prose(source: str) -> Iterator[Passage]:
    """Return comments."""
    for number, line in enumerate(source.splitlines(), 1):
        _, sign, comment = line.partition("# ")
        if sign:
            yield Passage(number, comment)


READERS = {
    ".py": python_prose,
    ".md": page_prose,
    ".sql": sql_prose,
    ".yaml": script_prose,
    ".toml": script_prose,
    "": script_prose,
}


def check_text(file: str, source: str) -> Iterator[Finding]:
    """Return the words in `source` that a rule names."""
    for start, text in READERS[Path(file).suffix](source):
        flat = " ".join(text.split())
        for rule in RULES:
            for found in rule.pattern.finditer(flat):
                line = start + _line_of(text, flat, found.start())
                yield Finding(file, line, found[0].strip(), rule.instead)


def _line_of(text: str, flat: str, position: int) -> int:
    """Return how many lines of `text` end before `position` in `flat`, where each run of spaces is one."""
    words = len(flat[:position].split())
    seen = 0
    for number, line in enumerate(text.splitlines()):
        seen += len(line.split())
        if seen > words:
            return number
    return 0


def files_of(paths: Sequence[str], root: Path = ROOT) -> Iterator[str]:
    """Return the files below `paths` that hold prose."""
    for path in paths:
        found = sorted((root / path).rglob("*")) if (root / path).is_dir() else [root / path]
        for file in found:
            name = str(file.relative_to(root))
            is_prose = file.is_file() and file.suffix in READERS and file != Path(__file__)
            if is_prose and not LEFT_OUT.search(name):
                yield name


def check(paths: Sequence[str], root: Path = ROOT) -> list[Finding]:
    """Return the findings in the files below `paths`, without the exceptions."""
    return [
        finding
        for file in files_of(paths, root)
        for finding in check_text(file, (root / file).read_text())
        if (file, finding.words) not in EXCEPTIONS
    ]


def main(argv: Sequence[str]) -> int:
    found = check(argv or CHECKED)
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
