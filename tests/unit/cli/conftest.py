"""A shell with an installation's address and a management key."""

from pathlib import Path

import pytest

from support.management import Shell


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    monkeypatch.setenv("CROSSDOCK_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://dock/v1")
    monkeypatch.setenv("CROSSDOCK_MANAGEMENT_KEY", "sk-manager")
    monkeypatch.delenv("CROSSDOCK_ENV", raising=False)
    return Shell(capsys)
