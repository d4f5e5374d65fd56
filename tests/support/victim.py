"""An organization of its own for an attack, in the installation that all attacks share."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from support.attacks import Attacked

Json = dict[str, Any]


@dataclass
class Victim:
    """The organization, its owner's key and one inference key."""

    account: str
    owner: str
    key_id: str
    key: str
    http: httpx.Client

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **sent: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {key or self.owner}"}
        return self.http.request(method, path, json=body, headers=headers, **sent)

    def chat(self, *, key: str | None = None, **fields: Any) -> httpx.Response:
        body = {
            "model": "tern-mini",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 5,
        }
        return self.ask("POST", "/v1/chat/completions", body | fields, key=key or self.key)


def make_victim(attacked: Attacked, http: httpx.Client) -> Victim:
    """Return a new organization, whose owner asks through `http`."""
    made = attacked.dock.manage("POST", "organizations", {"name": f"victim {uuid4()}"})
    victim = Victim(made["data"]["id"], made["key"], "", "", http)
    app = victim.ask("POST", "/v1/keys", {"name": "app"}).json()
    victim.key_id, victim.key = app["data"]["id"], app["key"]
    return victim
