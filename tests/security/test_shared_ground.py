"""The ground of the attacks: the hostile provider is asked, and the checks afterwards can fail."""

import pytest

from support.attacks import SECRET, Attacked
from support.hostile import completion


def ask(attacked: Attacked) -> str:
    done = attacked.dock.client.chat.completions.create(
        model="hostile", messages=[{"role": "user", "content": "hi"}]
    )
    return done.choices[0].message.content or ""


def test_the_provider_answers_as_a_test_says(attacked: Attacked) -> None:
    attacked.provider.behave("hostile", lambda _: completion("ahoy"))

    with attacked.unharmed():
        assert ask(attacked) == "ahoy"

    call = attacked.provider.calls["hostile"][-1]
    assert call.headers["authorization"] == f"Bearer {SECRET}"
    assert call.json["messages"] == [{"role": "user", "content": "hi"}]


def test_a_restart_is_noticed(attacked: Attacked) -> None:
    with pytest.raises(AssertionError, match="a process restarted"), attacked.unharmed():
        attacked.dock.restart("metering.0")
