"""A file's entry in the `files` directory; its content is in the object store."""

from typing import Literal

from crossdock_schemas.ids import AccountId, BatchId, FileId, ProjectId
from crossdock_schemas.message import Message


class StoredFile(Message):
    """A file of /v1/files. Key on the topic: file_id; a tombstone deletes it."""

    file_id: FileId
    account: AccountId
    project: ProjectId = ProjectId("proj_default")
    """Files from versions without projects are in the default one."""
    filename: str
    purpose: str
    bytes: int
    """Size; 0 for the output of a batch, whose parts are in the directory of batches."""
    created_at_ms: int
    expires_at_ms: int | None = None
    path: str | None = None
    """The object's path; None for the output of a batch, which consists of parts."""
    batch_id: BatchId | None = None
    part_kind: Literal["output", "error"] | None = None


def content_path(file_id: str) -> str:
    return f"files/{file_id}/content"
