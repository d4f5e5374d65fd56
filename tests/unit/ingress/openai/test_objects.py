"""OpenAI's objects, made from ours."""

from decimal import Decimal
from typing import Any

import pytest
from openai.types import Batch as OpenAIBatch
from openai.types import FileObject as OpenAIFile
from openai.types import Model as OpenAIModel

from crossdock.ingress.openai import batch_models, file_models
from crossdock.ingress.openai.batch_models import BatchCreate, make_submitted
from crossdock.ingress.openai.file_models import FileObject, make_page
from crossdock.ingress.openai.models import ModelObject, show_models
from crossdock_schemas.batches.batch import Batch, BatchStatus, LineError, ModelProgress, WaitReason
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import AccountId, BatchId, FileId, error_file_id, output_file_id
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.tokens import Tokens
from support.accounts import LOCAL
from support.openapi import shown_as

BATCH_ID = BatchId("batch_" + "0" * 32)
WANTED = BatchCreate(
    input_file_id="file-1",
    endpoint="/v1/embeddings",
    completion_window="24h",
    metadata={"k": "v"},
)
STAMPS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def make_batch(**changes: Any) -> Batch:
    batch = Batch.begun(make_submitted(LOCAL, BATCH_ID, WANTED, None, 1_000_999))
    return batch.model_copy(update=changes)


def show_batch(batch: Batch) -> dict[str, Any]:
    return shown_as(batch_models.show_batch(batch))


def test_a_new_batch_has_every_field_of_the_sdks_type() -> None:
    shown = show_batch(make_batch())

    assert set(OpenAIBatch.model_fields) <= set(shown)
    assert OpenAIBatch.model_validate(shown).status == "validating"
    assert [shown[f"{stamp}_at"] for stamp in STAMPS] == [None] * len(STAMPS)
    assert shown["errors"] is None
    assert shown["metadata"] == {"k": "v"}
    assert (shown["created_at"], shown["expires_at"]) == (1000, 87_400)


@pytest.mark.parametrize("stamp", STAMPS)
def test_times_are_whole_seconds(stamp: str) -> None:
    assert show_batch(make_batch(**{f"{stamp}_at_ms": 5999}))[f"{stamp}_at"] == 5


@pytest.mark.parametrize(
    ("completed", "failed", "output", "error"),
    [
        (0, 0, None, None),
        (1, 0, output_file_id(BATCH_ID), None),
        (0, 1, None, error_file_id(BATCH_ID)),
        (1, 1, output_file_id(BATCH_ID), error_file_id(BATCH_ID)),
    ],
)
def test_a_file_is_named_once_it_holds_something(
    completed: int, failed: int, output: str | None, error: str | None
) -> None:
    shown = show_batch(make_batch(completed=completed, failed=failed, total=9))

    assert (shown["output_file_id"], shown["error_file_id"]) == (output, error)


def test_errors_are_a_list_with_lines() -> None:
    errors = (
        LineError(code="invalid_json_line", message="no", line=3),
        LineError(code="x", message="y"),
    )

    shown = show_batch(make_batch(status=BatchStatus.FAILED, errors=errors))

    assert shown["errors"] == {
        "object": "list",
        "data": [
            {"code": "invalid_json_line", "line": 3, "message": "no", "param": None},
            {"code": "x", "line": None, "message": "y", "param": None},
        ],
    }


def test_usage_is_in_openais_words() -> None:
    tokens = Tokens(input=10, cached=4, output=5, reasoning=2)

    assert show_batch(make_batch(tokens=tokens))["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    }


@pytest.mark.parametrize(
    ("cost", "text"), [("0", "0"), ("1E-12", "0.000000000001"), ("12.50", "12.50")]
)
def test_cost_is_exact_and_never_in_powers_of_ten(cost: str, text: str) -> None:
    assert show_batch(make_batch(cost_usd=Decimal(cost)))["crossdock"]["cost_usd"] == text


def test_a_batch_of_one_model_names_it() -> None:
    one = (ModelProgress(model="m", total=1),)

    assert show_batch(make_batch(models=one))["model"] == "m"
    assert show_batch(make_batch(models=one * 2))["model"] is None


def test_of_a_model_it_is_told_how_far_it_is() -> None:
    model = ModelProgress(model="m", total=9, fed=5, done=2, returned=((3, 2),), may_feed=1)

    shown = show_batch(make_batch(models=(model,)))["crossdock"]["models"]

    assert shown == [{"model": "m", "total": 9, "fed": 5, "done": 2}]


def make_reason(until_ms: int | None = None) -> WaitReason:
    return WaitReason(
        code="budget_exceeded",
        message="The daily budget of the key key_1 is used up.",
        scope="key_1",
        since_ms=1_000_999,
        until_ms=until_ms,
    )


def test_a_batch_that_waits_says_why_and_how_many_lines() -> None:
    models = (
        ModelProgress(model="a", total=9, returned=((0, 2), (5, 3))),
        ModelProgress(model="b", total=9, returned=((1, 1),), wait_reason=make_reason(86_400_000)),
    )

    shown = show_batch(make_batch(models=models))["crossdock"]["waiting"]

    assert shown == {
        "code": "budget_exceeded",
        "message": "The daily budget of the key key_1 is used up.",
        "scope": "key_1",
        "lines": 10,
        "since": "1970-01-01T00:16:40Z",
        "until": "1970-01-02T00:00:00Z",
    }


def test_a_wait_may_have_no_end_and_a_batch_no_wait() -> None:
    endless = (ModelProgress(model="a", total=9, wait_reason=make_reason()),)

    assert show_batch(make_batch(models=endless))["crossdock"]["waiting"]["until"] is None
    assert show_batch(make_batch())["crossdock"]["waiting"] is None


def test_a_file_has_every_field_of_the_sdks_type() -> None:
    file = StoredFile(
        file_id=FileId("file-1"),
        account=AccountId("a"),
        filename="a.jsonl",
        purpose="batch",
        bytes=0,
        created_at_ms=1999,
    )

    shown = shown_as(file_models.show_file(file, 7))

    assert set(OpenAIFile.model_fields) <= set(shown)
    assert (shown["bytes"], shown["created_at"], shown["expires_at"]) == (7, 1, None)


def test_a_model_names_all_who_serve_it() -> None:
    offer = Offer(model="m", prices=Prices())
    providers = tuple(
        Provider(name=name, base_url="http://none", models=(offer,)) for name in ("a", "b")
    )

    shown = shown_as(*show_models(Catalogue(providers=providers)))

    assert set(OpenAIModel.model_fields) <= set(shown)
    assert shown["owned_by"] == "a"
    assert shown["crossdock"]["providers"] == ["a", "b"]


def test_a_model_has_the_prices_of_its_cheapest_endpoint_for_a_token() -> None:
    dear = Offer(model="m", context_length=9000, prices=Prices(input="2", output="3"))
    cheap = Offer(model="m", prices=Prices(input="0.15", output="0.6", request="0.01"))
    providers = tuple(
        Provider(name=name, base_url="http://none", models=(offer,))
        for name, offer in (("a", dear), ("b", cheap))
    )

    (model,) = show_models(Catalogue(providers=providers))
    shown = shown_as(model)

    assert isinstance(model, ModelObject)
    assert shown["pricing"] == {
        "prompt": "0.00000015",
        "completion": "0.0000006",
        "request": "0.01",
    }
    assert shown["context_length"] == shown["top_provider"]["context_length"] == 9000


def test_an_empty_list_has_null_ends() -> None:
    empty: list[FileObject] = []

    assert shown_as(make_page(empty, has_more=False)) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
