"""An ingress on loopback, with a log in memory that plays the other stages."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from openai import AsyncOpenAI

from crossdock.accounts.core import AccountsCore
from crossdock.ingress.app import make_app
from crossdock.ingress.http.context import ApiContext, make_context
from crossdock.ingress.server import bind, make_registry, serve
from crossdock.ingress.settings import IngressSettings
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.accounts.control import account_command
from crossdock_schemas.batches.batch import (
    Batch,
    BatchCommand,
    BatchStatus,
    CancelAsked,
    Part,
    PartsPage,
    Submitted,
    batch_command,
)
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.ids import FileId, output_file_id
from crossdock_schemas.message import Message
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import (
    ACCOUNT_CHANGES,
    ACCOUNT_COMMANDS,
    ACCOUNT_DIRECTORY,
    BATCH_COMMANDS,
    BATCH_DIRECTORY,
    FILES,
    REQUESTS,
    RESULTS,
)
from support.accounts import KEY_SECRET, LOCAL, found_accounts
from support.openapi import Watched

API_KEY = "sk-cd-test"
OWNER_KEY = "sk-cd-owner"
MASTER_KEY = "5e" * 32
CHAT_MODEL = "atlas-large"
EMBEDDING_MODEL = "atlas-embed"

Json = dict[str, Any]
Answer = Callable[[Parcel, Json], tuple[int, Json] | None]


def make_settings(**changes: Any) -> IngressSettings:
    return IngressSettings(**{"key_secret": KEY_SECRET, "master_key": MASTER_KEY, **changes})


def make_catalogue() -> Catalogue:
    models = (
        Offer(model=CHAT_MODEL, prices=Prices()),
        Offer(model=EMBEDDING_MODEL, operations=("/v1/embeddings",), prices=Prices()),
    )
    azure = Provider(name="azure", auth="azure", base_url="https://{host}/openai/v1", models=())
    atlas = Provider(name="atlas", base_url="http://none", models=models)
    return Catalogue(providers=(atlas, azure))


def make_completion(content: str = "Hello there", **changes: Any) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": CHAT_MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        **changes,
    }


def echo(parcel: Parcel, line: Json) -> tuple[int, Json]:
    """Answer with the caller's own last message."""
    return 200, make_completion(line["body"]["messages"][-1]["content"])


@dataclass
class World:
    """The other stages. `send` is ingress' log port: what it writes comes back at once through the views."""

    answer: Answer = echo
    is_down: bool = False
    is_silent: bool = False
    shows_batches: bool = True
    sent: list[Outgoing] = field(default_factory=list)
    dock: ApiContext | None = None
    accounts: AccountsCore = field(default_factory=AccountsCore)
    offset: int = 0

    async def send(self, messages: Sequence[Outgoing]) -> None:
        if self.is_down:
            raise LogError("no broker")
        self.sent += messages
        for message in messages:
            self._react(message)

    def _react(self, message: Outgoing) -> None:
        if message.topic == FILES.name:
            self.the_dock.files.apply(self.record(message))
        elif message.topic == ACCOUNT_COMMANDS.name and not self.is_silent:
            command = account_command.validate_json(message.value or b"")
            self.accounts.apply(command, self.the_dock.clock.now_ms())
            self.accounts.ledger.show(self.the_dock.clock.now_ms())
            self.tell(self.accounts.finish().outgoing)
        elif message.topic == REQUESTS.name:
            asyncio.get_running_loop().call_soon(self._answer, message)
        elif message.topic == BATCH_COMMANDS.name and self.shows_batches:
            self._command(batch_command.validate_json(message.value or b""))

    def tell(self, records: Sequence[Outgoing]) -> None:
        """Let what the accounts shard writes arrive."""
        for record in records:
            if record.topic == ACCOUNT_DIRECTORY.name:
                self.the_dock.accounts.apply(self.record(record))
            elif record.topic == ACCOUNT_CHANGES.name:
                self.the_dock.answers.apply(self.record(record))
            else:
                self.sent.append(record)
                self._react(record)

    def show_entity(self, identifier: str, entity: Message) -> None:
        """Let the directory of accounts show `entity`."""
        outgoing = Outgoing(ACCOUNT_DIRECTORY.name, identifier.encode(), entity.to_json(), [])
        self.the_dock.accounts.apply(self.record(outgoing))

    @property
    def the_dock(self) -> ApiContext:
        assert self.dock is not None
        return self.dock

    def record(self, message: Outgoing) -> Record:
        self.offset += 1
        return Record(
            message.topic,
            0,
            self.offset,
            self.the_dock.clock.now_ms(),
            message.key,
            message.value,
            tuple(message.headers),
        )

    def _answer(self, message: Outgoing) -> None:
        parcel = decode_envelope(message.headers, Parcel)
        line = json.loads(message.value) if message.value else {}
        answer = self.answer(parcel, line)
        if answer is not None:
            self.give(parcel, *answer)

    def give(self, parcel: Parcel, status: int, body: Json) -> None:
        """Let a result arrive."""
        assert parcel.request_id is not None
        response = {"status_code": status, "request_id": parcel.request_id, "body": body}
        line = {
            "id": parcel.request_id,
            "custom_id": parcel.request_id,
            "response": response,
            "error": None,
        }
        raw = json.dumps(line, separators=(",", ":")).encode()
        self.give_line(parcel, raw)

    def give_line(self, parcel: Parcel, raw: bytes) -> None:
        assert parcel.request_id is not None
        result = Result(
            request_id=parcel.request_id,
            line=0,
            custom_id=parcel.request_id,
            outcome=Outcome.COMPLETED,
            model=parcel.model,
            created_at_ms=parcel.created_at_ms,
            finished_at_ms=parcel.created_at_ms,
        )
        group = ResultGroup(
            account=LOCAL.account,
            project=LOCAL.project,
            key_id=LOCAL.key_id,
            lane=Lane.REALTIME,
            operation=parcel.operation,
            results=(result,),
        )
        headers = encode_headers(RESULTS, "test", parcel.request_id, 0, group)
        outgoing = Outgoing(RESULTS.name, parcel.request_id.encode(), raw, headers)
        self.the_dock.ring.add(self.record(outgoing))

    def _command(self, asked: BatchCommand) -> None:
        if isinstance(asked, Submitted):
            self.show(make_batch(asked))
            return
        batch = self.the_dock.batches.find(asked.batch_id)
        if batch is not None and isinstance(asked, CancelAsked):
            self.show(batch, status=BatchStatus.CANCELLING, cancelling_at_ms=asked.at_ms)

    def show(self, batch: Batch, **changes: Any) -> Batch:
        """Let the directory show `batch`."""
        shown = batch.model_copy(update=changes)
        key = shown.batch_id.encode()
        outgoing = Outgoing(BATCH_DIRECTORY.name, key, shown.to_json(), [])
        self.the_dock.batches.apply(self.record(outgoing))
        return shown

    async def show_parts(self, batch: Batch, contents: Sequence[bytes], **changes: Any) -> str:
        """Let the batch have output parts, and return their file's id."""
        parts = []
        for number, data in enumerate(contents):
            path = f"batches/{batch.batch_id}/output/{number}"
            await self.the_dock.objects.put(path, data)
            parts.append(Part(path=path, bytes=len(data), lines=data.count(b"\n")))
        page = PartsPage(batch_id=batch.batch_id, kind="output", page=0, parts=tuple(parts))
        key = f"{batch.batch_id}/output/0".encode()
        outgoing = Outgoing(BATCH_DIRECTORY.name, key, page.to_json(), [])
        self.the_dock.batches.apply(self.record(outgoing))
        lines = sum(part.lines for part in parts)
        self.show(
            batch,
            total=10,
            completed=lines,
            output_bytes=sum(part.bytes for part in parts),
            output_parts=len(parts),
            **changes,
        )
        file_id = output_file_id(batch.batch_id)
        self.show_file(
            StoredFile(
                file_id=file_id,
                account=LOCAL.account,
                project=LOCAL.project,
                filename=f"{batch.batch_id}_output.jsonl",
                purpose="batch_output",
                bytes=0,
                created_at_ms=batch.created_at_ms,
                batch_id=batch.batch_id,
                part_kind="output",
            )
        )
        return file_id

    def show_file(self, file: StoredFile) -> None:
        outgoing = Outgoing(FILES.name, file.file_id.encode(), file.to_json(), [])
        self.the_dock.files.apply(self.record(outgoing))

    def sent_to(self, topic: str) -> list[Outgoing]:
        return [message for message in self.sent if message.topic == topic]


def make_batch(asked: Submitted) -> Batch:
    return Batch(
        batch_id=asked.batch_id,
        account=asked.account,
        project=asked.project,
        key_id=asked.key_id,
        status=BatchStatus.VALIDATING,
        operation=asked.operation,
        input_file_id=FileId(asked.input_file_id),
        input_path=asked.input_path,
        completion_window=asked.completion_window,
        metadata=asked.metadata,
        created_at_ms=asked.created_at_ms,
        expires_at_ms=asked.created_at_ms + asked.window_s * 1000,
    )


@dataclass
class Ingress:
    """A running ingress, seen from outside and from inside."""

    sdk: AsyncOpenAI
    http: httpx.AsyncClient
    world: World
    dock: ApiContext
    clock: ManualClock
    url: str


@asynccontextmanager
async def running_ingress(
    world: World | None = None, *, watches_bodies: bool = True, **settings: Any
) -> AsyncIterator[Ingress]:
    """Serve on a free port of loopback until the context ends; every answer must conform to the API's document."""
    world = world or World()
    clock = ManualClock()
    objects = open_objects(settings.pop("objects_url", "memory://"))
    doors = {"ask_status": settings.pop("ask_status")} if "ask_status" in settings else {}
    catalogue = settings.pop("catalogue", None) or make_catalogue()
    dock = make_context(make_settings(**settings), catalogue, clock, objects, world, **doors)
    world.dock = dock
    world.accounts, founding = found_accounts(OWNER_KEY, API_KEY, clock.now_ms())
    world.tell(founding)
    bound = bind("127.0.0.1", 0)
    bound.listen()
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    stop = asyncio.Event()
    watched = Watched(make_app(dock), watches_bodies=watches_bodies)
    with bound:
        async with asyncio.TaskGroup() as group:
            group.create_task(dock.outbox.run(stop))
            group.create_task(
                serve(watched, bound, stop, make_registry(dock.settings), clock, drain_s=1)
            )
            auth = {"authorization": f"Bearer {API_KEY}"}
            try:
                async with (
                    AsyncOpenAI(base_url=f"{url}/v1", api_key=API_KEY, max_retries=0) as sdk,
                    httpx.AsyncClient(base_url=url, headers=auth, timeout=120) as http,
                ):
                    yield Ingress(sdk, http, world, dock, clock, url)
            finally:
                stop.set()
                dock.outbox.wake()
    assert watched.faults == [], watched.faults
