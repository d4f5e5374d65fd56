"""What is taken and shown is what the document of the API says."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from crossdock.ingress.management.budget_models import show_balance, show_budget
from crossdock.ingress.management.byok_models import show_credential
from crossdock.ingress.management.credit_models import CreditObject, show_worth
from crossdock.ingress.management.key_models import OwnKeyObject, show_key, usage_of
from crossdock.ingress.management.organization_models import ProjectObject, show_organization
from crossdock.ingress.management.policy_models import show_policy
from crossdock.ingress.openai.batch_models import BatchCreate, show_batch
from crossdock.ingress.openai.file_models import FileDeleted, show_file
from crossdock.ingress.openai.models import ModelObject, show_models
from crossdock.ingress.openai.upload_models import (
    UploadCreate,
    UploadObject,
    UploadPartObject,
    show_upload,
)
from crossdock.ingress.openai.uploads import make_upload
from crossdock.ingress.values import errors
from crossdock.ingress.values.balances import Balance, Worth
from crossdock.ingress.values.checks import check_request
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import read_model
from crossdock.kernel.requests.preparation import PreparationFault, prepare
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.content_filter import BuiltinFilter, PatternFilter
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.credit import CreditKind, Lot, Lots
from crossdock_schemas.accounts.policy import Policy, Rules
from crossdock_schemas.batches.batch import BatchStatus, LineError, ModelProgress
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import AccountId, CredentialId, FileId, KeyId
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.estimate import Estimate
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.windows import Window
from support.accounts import LOCAL
from support.builders import NOW_MS, OWNER, make_batch, make_credit, make_spend, make_wait_reason
from support.openapi import api, document, faults, shown_as

Json = dict[str, Any]
WHO = {"account": OWNER["account"], "project": OWNER["project"]}
AT = {"created_at_ms": NOW_MS, "updated_at_ms": NOW_MS}


def make_catalogue() -> Catalogue:
    offer = Offer(model="m", operations=("/v1/chat/completions", "/v1/embeddings"), prices=Prices())
    return Catalogue(providers=(Provider(name="p", base_url="http://none", models=(offer,)),))


def make_key(**changes: Any) -> ApiKey:
    values: Json = {**OWNER, **AT, "hash": "0" * 64, "label": "sk-...", "name": "app"}
    return ApiKey(**(values | changes))


def make_balance(window: Window = Window.DAILY, resets_at_ms: int | None = NOW_MS) -> Balance:
    budget = Budget(
        account=OWNER["account"],
        scope="key_local",
        window=window,
        limit_usd=Decimal("12.50"),
        version=3,
        updated_at_ms=NOW_MS,
    )
    return Balance(budget, Decimal("1E-12"), Decimal(0), Decimal(0), resets_at_ms)


def make_file(**changes: Any) -> StoredFile:
    values: Json = {
        **WHO,
        "file_id": FileId("file-1"),
        "filename": "a.jsonl",
        "purpose": "batch",
        "bytes": 3,
        "created_at_ms": NOW_MS,
    }
    return StoredFile(**(values | changes))


def make_policy(**rules: Any) -> Policy:
    return Policy(
        account=AccountId("org_local"),
        scope="proj_default",
        rules=Rules(**rules),
        version=1,
        updated_at_ms=NOW_MS,
    )


def make_credential(**changes: Any) -> Credential:
    values: Json = {
        **AT,
        "credential_id": CredentialId("byok_1"),
        "account": OWNER["account"],
        "provider": "atlas",
        "name": "ours",
        "label": "...wxyz",
        "version": 1,
    }
    return Credential(**(values | changes))


def make_worth(balance: str = "-0.5", *, is_prepaid: bool = True) -> Worth:
    return Worth(Decimal(balance), Decimal(0), Decimal("1E-12"), is_prepaid)


UPLOAD = {"filename": "a.jsonl", "purpose": "batch", "bytes": 3, "mime_type": "text/plain"}
WAITING = ModelProgress(model="m", total=9, fed=5, returned=((1, 2),), wait_reason=make_wait_reason())  # fmt: skip
ENDLESS = ModelProgress(model="m", total=9, wait_reason=make_wait_reason(until_ms=None))
ESTIMATE = Estimate(
    low_usd=Decimal("1E-12"), likely_usd=Decimal("0.5"), worst_usd=Decimal(1), is_from_history=False
)
WRONG = (LineError(code="x", message="y"), LineError(code="x", message="y", line=1, param="z"))
STAMPS = {
    f"{stamp}_at_ms": NOW_MS
    for stamp in ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
}  # fmt: skip


def _upload(status: str, file: StoredFile | None = None) -> UploadObject:
    made = make_upload(LOCAL, UploadCreate(**UPLOAD), NOW_MS)
    return show_upload(made.model_copy(update={"status": status, "file": file}), NOW_MS)


def _models() -> ModelObject:
    (model,) = show_models(make_catalogue())
    return model


def _own_key() -> OwnKeyObject:
    more = {"budgets": [show_balance(make_balance())], "allowed_data_regions": ("us",)}
    return OwnKeyObject.of(make_key(), **usage_of(make_key(), None, (), NOW_MS), **more)


LOTS = Lots(
    account=AccountId("org_local"), lots=(Lot(expires_at_ms=NOW_MS, left_usd=Decimal("0.5")),)
)


SHOWN: list[tuple[str, str, Callable[[], Json | BaseModel]]] = [
    ("BatchObject", "that begins", lambda: show_batch(make_batch())),
    ("BatchObject", "at its end", lambda: show_batch(make_batch(**STAMPS, completed=1, failed=1))),
    ("BatchObject", "without metadata", lambda: show_batch(make_batch(metadata=None))),
    ("BatchObject", "that waits", lambda: show_batch(make_batch(models=(WAITING,)))),
    ("BatchObject", "that waits for ever", lambda: show_batch(make_batch(models=(ENDLESS, ENDLESS)))),
    ("BatchObject", "with errors", lambda: show_batch(make_batch(errors=WRONG))),
    ("BatchObject", "that may cost", lambda: show_batch(make_batch(estimate=ESTIMATE))),
    ("BatchObject", "that cost", lambda: show_batch(make_batch(cost_usd=Decimal("1E-12")))),
    *(
        ("BatchObject", status.value, lambda status=status: show_batch(make_batch(status=status)))
        for status in BatchStatus
    ),
    ("FileObject", "of a caller", lambda: show_file(make_file(expires_at_ms=NOW_MS), 3)),
    ("FileObject", "of a batch", lambda: show_file(make_file(purpose="batch_output"), 3)),
    ("FileDeleted", "", lambda: FileDeleted(id="file-1")),
    ("UploadObject", "that waits", lambda: _upload("pending")),
    ("UploadObject", "that is a file", lambda: _upload("completed", make_file())),
    ("UploadPartObject", "", lambda: UploadPartObject(id="part_" + "0" * 32, created_at=NOW_MS, upload_id="upload_1")),
    ("ModelObject", "", _models),
    ("KeyObject", "for requests", lambda: show_key(make_key(), None, (), NOW_MS)),
    (
        "KeyObject",
        "with a limit",
        lambda: show_key(
            make_key(role=Role.OWNER, rpm=60, tpm=6000, tags={"a": "b"}, allowed_ips=("10.0.0.0/8",), expires_at_ms=NOW_MS),
            make_spend(),
            (make_balance(),),
            NOW_MS,
        ),
    ),
    (
        "KeyObject",
        "that was rotated",
        lambda: show_key(
            make_key(creator=KeyId("key_1"), rotated_from=KeyId("key_2")),
            None,
            (make_balance(Window.TOTAL, None),),
            NOW_MS,
        ),
    ),
    ("OwnKeyObject", "", _own_key),
    ("ProjectObject", "", lambda: ProjectObject.of(Project(**WHO, **AT, name="p", tags={"a": "b"}))),
    (
        "OrganizationObject",
        "",
        lambda: show_organization(
            Organization(account=OWNER["account"], name="o", max_key_life_s=1, **AT)
        ),
    ),
    ("PolicyObject", "of nothing", lambda: show_policy(make_policy())),
    (
        "PolicyObject",
        "of all",
        lambda: show_policy(
            make_policy(
                allowed_models=("a",), allowed_providers=(), max_prompt_price="0.5", max_request_price="0.01",
                data_collection="deny", zdr=True, allowed_data_regions=("europe",), quantizations=("fp8", "unknown"),
                max_tokens=5, tools="deny", content_filter_builtins=(BuiltinFilter(slug="email", action="redact"),),
                content_filters=(PatternFilter(pattern="E-[0-9]+", action="flag"),),
            )
        ),
    ),
    ("BudgetObject", "", lambda: show_budget(make_balance())),
    ("BudgetObject", "without an end", lambda: show_budget(make_balance(Window.TOTAL, None))),
    ("BalanceObject", "", lambda: show_balance(make_balance())),
    ("CreditsObject", "that are needed", lambda: show_worth(make_worth())),
    ("CreditsObject", "that are not", lambda: show_worth(make_worth("5", is_prepaid=False), LOTS)),
    ("CreditObject", "", lambda: CreditObject.of(make_credit(note="welcome"))),
    ("CreditObject", "taken away", lambda: CreditObject.of(make_credit("-2.5", CreditKind.REFUND))),
    ("ByokObject", "", lambda: show_credential(make_credential(), {})),
    (
        "ByokObject",
        "for a few",
        lambda: show_credential(
            make_credential(
                project=OWNER["project"],
                allowed_models=("*",),
                allowed_keys=("key_local", "key_gone"),
                allowed_users=("alice",),
                declared_region="europe",
            ),
            {KeyId("key_local"): make_key()},
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "case", "show"), SHOWN, ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_is_shown_is_what_the_document_says(
    name: str, case: str, show: Callable[[], Json | BaseModel]
) -> None:
    found = show()
    shown = shown_as(found) if isinstance(found, BaseModel) else found

    assert faults(api()["components"]["schemas"][name], shown) == []
    for field in shown:
        less = {other: value for other, value in shown.items() if other != field}
        assert faults(api()["components"]["schemas"][name], less) != []
    assert faults(api()["components"]["schemas"][name], shown | {"more": 1}) != []


VALUES: list[Any] = [
    None, True, False, 0, 1, 3600, -1, 0.5, 1e-7, 10**15, "", "x", "24h", "8d", "/v1/embeddings", "batch", "12.50",
    "-1", "1e3", "daily", "total", "owner", "2027-01-31T12:00:00Z", "a b", "k" * 300, [], [1], ["a"], ["a b"], ["10.0.0.0/8"], ["0" * 64], "europe", ["*"] * 101, {}, {"a": "b"}, {"a": 1},
    {"k" * 65: ""}, {"k": "v" * 513}, {str(n): "" for n in range(17)}, {"prompt": "0.5"}, {"prompt": -1},
    {"request": "0.01"}, ["europe"], ["fp8"], "deny", "refund", "-12.50", 10**6, 10**6 + 1,
    {"zdr": True}, {"zdr": 1}, {"only": ["a*"]}, {"only": []}, {"only": "a"}, {"ignore": []}, {"data_collection": "allow"},
    {"quantizations": ["fp8"]}, {"quantizations": []}, {"max_price": {"prompt": 0.5, "request": "1"}}, {"max_price": 1}, {"sort": "price"},
    {"image": 1}, {"anchor": "created_at", "seconds": 3600}, {"anchor": "created_at", "seconds": 1},
]  # fmt: skip


def _request(operation: str) -> Callable[[Json], object]:
    def check(body: Json) -> object:
        prepared = prepare(body, operation, None)
        if isinstance(prepared, PreparationFault):
            raise errors.unprepared(prepared)
        return check_request(prepared.body, operation, make_catalogue())

    return check


CHECKED: list[tuple[str, Json, Callable[[Json], object]]] = [
    ("BatchCreate", {"input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "1h"}, partial(read_model, BatchCreate)),
    ("UploadCreate", UPLOAD, partial(read_model, UploadCreate)),
    ("ChatCompletionCreate", {"model": "m", "messages": [{}]}, _request("/v1/chat/completions")),
    ("EmbeddingCreate", {"model": "m", "input": "x"}, _request("/v1/embeddings")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sound", "check"), CHECKED, ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_is_taken_is_what_the_document_says(
    name: str, sound: Json, check: Callable[[Json], object]
) -> None:
    schema = document()["components"]["schemas"][name]
    check(sound)
    assert faults(schema, sound) == []

    taken = 0
    for field in schema["properties"].keys() - {"project_id"}:
        for value in VALUES:
            body = sound | {field: value}
            if is_taken(check, body):
                taken += 1
                assert faults(schema, body) == [], body
    assert taken > 0


@pytest.mark.parametrize(("name", "sound", "check"), CHECKED, ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_must_be_there_is_what_the_document_says(
    name: str, sound: Json, check: Callable[[Json], object]
) -> None:
    schema = document()["components"]["schemas"][name]

    needed = {
        field
        for field in sound
        if not is_taken(check, {other: value for other, value in sound.items() if other != field})
    }

    assert needed == set(schema.get("required", ()))


def is_taken(check: Callable[[Json], object], body: Json) -> bool:
    try:
        check(body)
    except RefusedError:
        return False
    return True
