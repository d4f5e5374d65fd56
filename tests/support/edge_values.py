"""Values at the edges of the fields of every operation of the API's document."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from support.openapi import resolved

Json = dict[str, Any]
HEX = "0" * 32
TEXTS = [
    "", " ", "\x00", "a\x00b", "a\nb", "\x1b[31m", "\u202e\u0661", "\ufeff", "\U0001f98a" * 300, "x" * 5000, "9" * 5000,
    "-0", "NaN", "Infinity", "1e-999999", "1E+30", "0x1", "1_0", " 1", "\u0663" * 4, "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "2199-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z", "../../etc", "%2e%2e", "a/b",
    f"file- {HEX[1:]}", f"batch_{' ' * 12}{HEX[12:]}", f"upload_+{HEX[1:]}", f"file-{'f' * 32}", f"batch_1_{HEX[2:]}",
    f"batch_{chr(0x663) * 32}", f"file-{HEX}", "user:", "user:\x00", "user:a\nb", "tag:", "tag:=", "tag:a=b=c", "tag:%=x",
    "user:" + "\U0001f98a" * 256, "proj_", "org_", "key_", "policy_org_local", "true", "false", "null", "{}", "[]",
]  # fmt: skip
RAW = [
    *(json.dumps(text) for text in TEXTS),
    '"\\ud800"', '"\\udfff\\ud800"', "null", "true", "0", "-0", "-0.0", "-1", "1", "1e0", "1.5", "1e999", "-1e999",
    "1e-400", "1e300", str(2**31), str(2**63), str(2**64), "9" * 4000, "9" * 5000, "[]", "{}", "[null]", "[[]]",
    "[" * 150 + "]" * 150, json.dumps(["x"] * 3000), json.dumps(["\x00"]), '["\\ud800"]', json.dumps({"\x00": "\x00"}),
    '{"\\ud800": "a"}', json.dumps({"a": "\x00" * 600}), json.dumps({"k" * 70: "v"}), json.dumps({"a": 2**70}),
    json.dumps({"a": {"b": [1e300, 2**70]}}), json.dumps({str(n): "v" for n in range(2000)}), json.dumps(["::/0"]),
    json.dumps(["0.0.0.0/0", "255.255.255.255/32"]), json.dumps(["\u0661.1.1.1"]), json.dumps([{"slug": "email"}]),
    json.dumps([{"pattern": "(", "action": "flag"}]), json.dumps({"anchor": "created_at", "seconds": 2**70}),
]  # fmt: skip


def bodies(operation: Json, step: int) -> Iterator[tuple[str, bytes]]:
    """Yield the example of a JSON body with each field in turn set to one of `step` values."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    sound = content.get("example", {})
    for number, name in enumerate(resolved(content["schema"]).get("properties", {})):
        rest = {key: value for key, value in sound.items() if key != name}
        head = json.dumps(rest)[1:-1]
        for raw in RAW[number % step :: step]:
            yield (
                f"{name}={raw[:60]}",
                f"{{{head}{', ' if head else ''}{json.dumps(name)}: {raw}}}".encode(),
            )


def wrong(response: httpx.Response) -> bool:
    """Return whether an answer is neither what was asked for nor a refusal in the envelope."""
    if response.status_code >= 500:
        return True
    return response.status_code >= 400 and not response.json()["error"]["message"]
