"""Bodies of the data plane, read into their models."""

from typing import Any

import pytest

from crossdock.ingress.openai.batch_models import BatchCreate
from crossdock.ingress.openai.file_models import Expiry, FileForm, FileQuery
from crossdock.ingress.openai.upload_models import UploadComplete, UploadCreate
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.models import RequestModel
from crossdock.ingress.values.validation import read_model

Json = dict[str, Any]
BATCH = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "2h"}
UPLOAD = {"filename": "a.jsonl", "purpose": "batch", "bytes": 3, "mime_type": "text/plain"}
FORM = {"file": "a.jsonl", "purpose": "batch"}


def read_batch(**changes: Any) -> BatchCreate:
    return read_model(BatchCreate, BATCH | changes)


@pytest.mark.parametrize(
    ("window", "seconds"),
    [("24h", 86_400), ("1m", 60), ("90m", 5400), ("7d", 604_800), ("168h", 604_800)],
)
def test_a_window_is_minutes_hours_or_days(window: str, seconds: int) -> None:
    assert read_batch(completion_window=window).window_s == seconds


@pytest.mark.parametrize("window", ["", "24", "h", "0m", "59s", "8d", "169h", "-1h", "1.5h", "٣h"])
def test_another_window_is_refused(window: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_batch(completion_window=window)

    assert (caught.value.status, caught.value.param) == (400, "completion_window")


@pytest.mark.parametrize("seconds", [3600, 2_592_000])
def test_an_expiry_lies_between_an_hour_and_thirty_days(seconds: int) -> None:
    assert read_model(Expiry, {"anchor": "created_at", "seconds": seconds}).seconds == seconds


@pytest.mark.parametrize(
    ("expiry", "param"),
    [
        (7, "output_expires_after"),
        ({"seconds": 3600}, "output_expires_after.anchor"),
        ({"anchor": "last_used", "seconds": 3600}, "output_expires_after.anchor"),
        ({"anchor": "created_at"}, "output_expires_after.seconds"),
        ({"anchor": "created_at", "seconds": True}, "output_expires_after.seconds"),
        ({"anchor": "created_at", "seconds": 3599}, "output_expires_after.seconds"),
        ({"anchor": "created_at", "seconds": 2_592_001}, "output_expires_after.seconds"),
    ],
)
def test_another_expiry_is_refused(expiry: object, param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_batch(output_expires_after=expiry)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("kind", "sound", "change", "param", "code"),
    [
        (BatchCreate, BATCH, {"input_file_id": None}, "input_file_id", "missing_required_parameter"),
        (BatchCreate, BATCH, {"input_file_id": 1}, "input_file_id", "invalid_type"),
        (BatchCreate, BATCH, {"endpoint": "/v1/responses"}, "endpoint", "invalid_value"),
        (BatchCreate, BATCH, {"metadata": {"k": None}}, "metadata.k", "invalid_type"),
        (UploadCreate, UPLOAD, {"bytes": True}, "bytes", "invalid_type"),
        (UploadCreate, UPLOAD, {"bytes": 0}, "bytes", "invalid_value"),
        (UploadCreate, UPLOAD, {"purpose": "other"}, "purpose", "invalid_value"),
        (UploadCreate, UPLOAD, {"filename": "a.json"}, "file", "invalid_file_format"),
        (UploadComplete, {"part_ids": ["p"]}, {"part_ids": []}, "part_ids", "invalid_value"),
        (UploadComplete, {"part_ids": ["p"]}, {"part_ids": "p"}, "part_ids", "invalid_type"),
        (UploadComplete, {"part_ids": ["p"]}, {"md5": 1}, "md5", "invalid_type"),
        (FileForm, FORM, {"file": "a.json"}, "file", "invalid_file_format"),
        (FileForm, FORM, {"file": "a" * 600 + ".jsonl"}, "file", "string_above_max_length"),
        (FileForm, FORM, {"purpose": "other"}, "purpose", "invalid_value"),
        (FileForm, FORM, {"expires_after[anchor]": "created_at"}, "expires_after[seconds]", "missing_required_parameter"),
        (FileForm, FORM, {"expires_after[seconds]": "1e4"}, "expires_after[seconds]", "invalid_type"),
        (FileForm, FORM, {"expires_after[seconds]": "3599"}, "expires_after[seconds]", "invalid_value"),
        (FileQuery, {}, {"order": "up"}, "order", "invalid_value"),
        (FileQuery, {}, {"limit": "10001"}, "limit", "invalid_value"),
        (FileQuery, {}, {"limit": "x"}, "limit", "invalid_type"),
    ],
)  # fmt: skip
def test_an_unsound_field_is_named(
    kind: type[RequestModel], sound: Json, change: Json, param: str, code: str
) -> None:
    read_model(kind, sound)
    with pytest.raises(RefusedError) as caught:
        read_model(kind, sound | change)

    assert (caught.value.status, caught.value.param, caught.value.reason) == (400, param, code)
