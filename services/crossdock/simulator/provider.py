"""A simulated provider: decides the outcome of a call and the bytes of its answer. No sockets."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from crossdock.simulator.core import answers, faults
from crossdock.simulator.core.answers import Completion
from crossdock.simulator.core.behaviour import (
    BUSY,
    HARMLESS,
    REFUSALS,
    Behaviour,
    Draws,
    FaultKind,
    choose_fault,
    count_output,
    draw,
)
from crossdock.simulator.core.call import (
    BadCallError,
    ChatCall,
    EmbeddingCall,
    read_chat,
    read_embedding,
)
from crossdock.simulator.core.call_table import ReceivedCall
from crossdock.simulator.core.embeddings import embeddings
from crossdock.simulator.core.rate_limits import MinuteLimits
from crossdock.simulator.core.reply import Reply, plain
from crossdock.simulator.core.sample_text import text_of
from crossdock.simulator.ledger import CallLedger

CHAT = "chat/completions"
READERS: dict[str, Callable[[bytes], ChatCall | EmbeddingCall]] = {
    CHAT: read_chat,
    "embeddings": read_embedding,
}
NO_STATUS: frozenset[FaultKind] = frozenset({"timeout", "reset"})


@dataclass(frozen=True, slots=True)
class World:
    """Objects that all simulated providers share. `now_ns` is Unix time, `monotonic_s` drives the rate limits."""

    ledger: CallLedger
    seed: int
    now_ns: Callable[[], int]
    monotonic_s: Callable[[], float]


@dataclass(slots=True)
class Received:
    """A call and the fields of its row in the ledger."""

    request_id: bytes
    attempt: bytes
    started_ns: int
    model: str = ""


class CallFate(NamedTuple):
    """Random outcome of a call that gets an answer."""

    draws: Draws
    fault: FaultKind | None
    delay_s: float
    headers: dict[str, str]


class SimulatedProvider:
    """One provider by name; `configure` changes its behaviour and refills its rate limits."""

    def __init__(self, name: str, world: World, behaviour: Behaviour) -> None:
        self.name = name
        self._world = world
        self._seed = b"%d|%b" % (world.seed, name.encode())
        self._seen_models: set[str] = set()
        self.configure(behaviour)

    def configure(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._limits = MinuteLimits(behaviour.rpm, behaviour.tpm)
        self._is_limited = bool(behaviour.rpm or behaviour.tpm)

    def models(self) -> bytes:
        """Return the configured models; without any, the models that were called so far."""
        names = list(self.behaviour.models or self._seen_models)
        return answers.model_list(names, self.name, self._world.now_ns() // 10**9)

    def answer(self, operation: str, headers: Mapping[bytes, bytes], raw: bytes) -> Reply:
        """Return the reply to a call, and store the call in the ledger."""
        received = Received(
            headers.get(b"x-crossdock-request-id", b""),
            headers.get(b"x-crossdock-attempt", b""),
            self._world.now_ns(),
        )
        if not self._accepts(headers.get(b"authorization", b"")):
            return self._refuse_key(received)
        try:
            call = READERS[operation](raw)
        except BadCallError as error:
            text = answers.error(str(error), "invalid_request_error", None, error.param)
            return self._enter(received, "bad_request", 400, plain(400, text))
        received.model = call.model
        self._seen_models.add(call.model)
        if self.behaviour.models and call.model not in self.behaviour.models:
            return self._refuse_model(received)
        return self._decide(call, received, raw)

    def _accepts(self, authorization: bytes) -> bool:
        keys = self.behaviour.api_keys
        return not keys or authorization.removeprefix(b"Bearer ").decode("latin-1") in keys

    def _decide(self, call: ChatCall | EmbeddingCall, received: Received, raw: bytes) -> Reply:
        behaviour = self.behaviour
        identity = received.request_id or blake2b(raw, digest_size=16).digest()
        draws = draw(self._seed, identity, received.attempt)
        prompt = answers.count_prompt(len(raw))
        if self._is_limited:
            reserved = prompt + ((call.cap or 0) if isinstance(call, ChatCall) else 0)
            wait_s = self._limits.admit(reserved, self._world.monotonic_s())
            if wait_s > 0:
                return self._enter(received, "rate_limited", 429, self._busy("429", wait_s))
        fault = choose_fault(behaviour.faults, draws.fault) if behaviour.faults else None
        if fault in BUSY:
            reply = self._busy(fault, behaviour.retry_after_s)
            return self._enter(received, fault, 429, reply)
        delay_s = behaviour.latency.draw_ms(draws.latency) / 1000
        if fault in REFUSALS:
            status = REFUSALS[fault]
            text = answers.error("simulated fault", "server_error", None)
            return self._enter(received, fault, status, plain(status, text, delay_s=delay_s))
        fate = CallFate(draws, fault, delay_s, self._headers(draws, delay_s))
        if isinstance(call, EmbeddingCall):
            reply, output = self._embed(call, prompt, fate), 0
        else:
            reply, output = self._complete(call, prompt, fate, received.started_ns)
        tokens = (prompt, output) if fault in HARMLESS else (0, 0)
        status = 0 if fault in NO_STATUS else 200
        return self._enter(received, fault or "ok", status, reply, tokens)

    def _embed(self, call: EmbeddingCall, prompt: int, fate: CallFate) -> Reply:
        body = embeddings(
            call.inputs,
            call.model,
            None if fate.fault == "no_usage" else prompt,
            dimensions=call.dimensions,
            is_packed=call.is_packed,
        )
        return self._plain(body, fate)

    def _complete(
        self, call: ChatCall, prompt: int, fate: CallFate, started_ns: int
    ) -> tuple[Reply, int]:
        """Return the reply and the number of output tokens."""
        completion = self._completion(call, prompt, fate.draws, started_ns)
        if fate.fault is not None:
            completion = faults.unfinished(completion, fate.fault)
        if not call.is_streamed:
            return self._plain(completion.body(), fate), completion.output
        reply = faults.streamed(
            fate.fault,
            completion.events(with_usage=call.wants_usage),
            fate.headers,
            delay_s=fate.delay_s,
            gap_s=self.behaviour.stream_gap_ms / 1000,
            drip_s=self.behaviour.drip_s,
        )
        return reply, completion.output

    def _plain(self, body: bytes, fate: CallFate) -> Reply:
        delay_s, extra = fate.delay_s, fate.headers
        if fate.fault is None:
            return plain(200, body, extra, delay_s=delay_s)
        drip_s = self.behaviour.drip_s
        return faults.spoiled(fate.fault, body, extra, delay_s=delay_s, drip_s=drip_s)

    def _completion(self, call: ChatCall, prompt: int, draws: Draws, started_ns: int) -> Completion:
        low, high = self.behaviour.output_tokens
        output, is_cut = count_output(low, high, draws.output, call.cap)
        return Completion(
            answer_id=draws.answer_id,
            model=call.model,
            created=started_ns // 10**9,
            prompt=prompt,
            output=output,
            text=text_of(output, draws.output),
            finish="length" if is_cut else "stop",
        )

    def _headers(self, draws: Draws, delay_s: float) -> dict[str, str]:
        own = {
            "x-request-id": f"req_{draws.answer_id}",
            "openai-processing-ms": str(int(delay_s * 1000)),
        }
        return own | self._limits.headers() if self._is_limited else own

    def _busy(self, fault: FaultKind, wait_s: float) -> Reply:
        if fault == "429_quota":
            text = answers.error(
                "You exceeded your current quota, please check your plan and billing details.",
                "insufficient_quota",
                "insufficient_quota",
            )
            return plain(429, text)
        text = answers.error("Rate limit reached.", "requests", "rate_limit_exceeded")
        extra = self._limits.headers()
        if fault == "429":
            extra["retry-after"] = str(max(1, math.ceil(wait_s)))
            extra["retry-after-ms"] = str(math.ceil(wait_s * 1000))
        return plain(429, text, extra)

    def _refuse_key(self, received: Received) -> Reply:
        text = answers.error(
            "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"
        )
        return self._enter(received, "unauthorized", 401, plain(401, text))

    def _refuse_model(self, received: Received) -> Reply:
        message = f"The model '{received.model}' does not exist or you do not have access to it."
        text = answers.error(message, "invalid_request_error", "model_not_found", "model")
        return self._enter(received, "unknown_model", 404, plain(404, text))

    def _enter(
        self,
        received: Received,
        outcome: str,
        status: int,
        reply: Reply,
        tokens: tuple[int, int] = (0, 0),
    ) -> Reply:
        """Store the call in the ledger, and its number in the reply."""
        reply.entry = self._world.ledger.add(
            ReceivedCall(
                received.request_id,
                received.attempt,
                self.name,
                received.model,
                outcome,
                status,
                *tokens,
                received.started_ns,
            )
        )
        return reply
