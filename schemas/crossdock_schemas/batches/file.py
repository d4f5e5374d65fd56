"""A file's entry in the `files` directory; its content lies in the object store."""

from typing import Literal

from crossdock_schemas.ids import AccountId, BatchId, FileId, ProjectId
from crossdock_schemas.message import Message


class StoredFile(Message):
    """What /v1/files tells about a file. Key on the topic: file_id; a tombstone deletes it."""

    file_id: FileId
    account: AccountId
    project: ProjectId = ProjectId("proj_default")
    """Files of before there were projects are in the default one."""
    filename: str
    purpose: str
    bytes: int
    """Of a batch's output: 0 here; the parts in the batches' directory say it."""
    created_at_ms: int
    expires_at_ms: int | None = None
    path: str | None = None
    """The object's path; None for a batch's output, which is made of parts."""
    batch_id: BatchId | None = None
    part_kind: Literal["output", "error"] | None = None


def content_path(file_id: str) -> str:
    return f"files/{file_id}/content"
