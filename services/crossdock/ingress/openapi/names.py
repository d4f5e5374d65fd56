"""Names: the ids of what there is. Wherever an id is taken or shown, its schema is one of these."""

from crossdock.ingress.openai.upload_store import PART_ID
from crossdock.ingress.openapi.schema import Json, exactly, ref

_TOKEN = "0" * 32


def _id(example: str, text: str) -> Json:
    return {"type": "string", "description": text, "examples": [example]}


SCHEMAS: dict[str, Json] = {
    "FileId": _id(f"file-{_TOKEN}", "A file of the key's project."),
    "UploadId": _id(f"upload_{_TOKEN}", "An upload of the key's project."),
    "PartId": _id(f"part_{_TOKEN}", "A part of one upload.")
    | {"pattern": exactly(PART_ID.pattern)},
    "BatchId": _id(f"batch_{_TOKEN}", "A batch of the key's project."),
    "KeyId": _id(f"key_{_TOKEN}", "A key of the organization."),
    "KeyName": _id(f"key_{_TOKEN}", "A key's id, or the SHA-256 of its text in hexadecimal."),
    "KeyHash": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "The SHA-256 of a key's text in hexadecimal.",
    },
    "ByokId": _id(f"byok_{_TOKEN}", "An own provider key of the organization."),
    "CreditId": _id(f"credit_{_TOKEN}", "Credits of an organization."),
    "ProjectId": _id(f"proj_{_TOKEN}", "A project of the organization."),
    "OrganizationId": _id(f"org_{_TOKEN}", "An organization."),
    "PresetScopeId": _id(f"proj_{_TOKEN}", "The organization, or one of its projects."),
    "ScopeId": _id(f"proj_{_TOKEN}", "The organization, or one of its projects or keys."),
}

FILE = ref("FileId")
UPLOAD = ref("UploadId")
PART = ref("PartId")
BATCH = ref("BatchId")
KEY = ref("KeyId")
KEY_NAME = ref("KeyName")
KEY_HASH = ref("KeyHash")
BYOK = ref("ByokId")
CREDIT = ref("CreditId")
PROJECT = ref("ProjectId")
ORGANIZATION = ref("OrganizationId")
PRESET_SCOPE = ref("PresetScopeId")
SCOPE = ref("ScopeId")
