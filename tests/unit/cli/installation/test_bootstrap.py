"""crossdock bootstrap: an environment file with all that a new installation keeps to itself."""

import re
from pathlib import Path

from crossdock.kernel.requests.api_keys import digest, read_plain_key
from crossdock_schemas.ids import OPERATOR
from support.management import Shell

COMPOSE = Path(__file__).parents[4] / "compose.yaml"


def read(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_it_names_everything_that_compose_demands(shell: Shell, tmp_path: Path) -> None:
    outcome = shell.run("bootstrap", "--file", str(tmp_path / "env"))

    demanded = set(re.findall(r"\$\{([A-Z0-9_]+):\?", COMPOSE.read_text()))
    made = read(tmp_path / "env")
    assert outcome.code == 0
    assert demanded <= made.keys()
    assert not any(value in outcome.out + outcome.err for value in made.values() if len(value) > 12)


def test_its_keys_are_authentic_and_told_by_their_digests(shell: Shell, tmp_path: Path) -> None:
    shell.run("bootstrap", "--file", str(tmp_path / "env"))

    made = read(tmp_path / "env")
    for key, sha256 in (
        ("CROSSDOCK_MANAGEMENT_KEY", "CROSSDOCK_OWNER_KEY_SHA256"),
        ("OPENAI_API_KEY", "CROSSDOCK_API_KEY_SHA256"),
    ):
        authentic = read_plain_key(made[key], made["CROSSDOCK_INGRESS_KEY_SECRET"])
        assert authentic is not None
        assert authentic.account == OPERATOR
        assert digest(made[key]) == made[sha256]


def test_only_its_owner_may_read_it_and_it_is_never_written_over(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "env"
    shell.run("bootstrap", "--file", str(file))
    before = file.read_bytes()

    again = shell.run("bootstrap", "--file", str(file))
    nowhere = shell.run("bootstrap", "--file", str(tmp_path / "none" / "env"))

    assert file.stat().st_mode & 0o777 == 0o600
    assert (again.code, file.read_bytes()) == (1, before)
    assert "exists: pass another --file" in again.err
    assert "cannot write" in nowhere.err
