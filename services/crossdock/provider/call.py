"""One call: the provider's response, and the judgement on it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.masking import SecretMask
from crossdock.provider.adapters.types import ProviderAnswer
from crossdock.provider.classify import Verdict, judge_answer, judge_fault, judge_loss
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.parcel.parcel import Parcel

BAD_KEY = (401, 403)
_OF_THE_BODY = (b"content-length", b"content-encoding", b"transfer-encoding")
MAX_REQUEST_ID_BYTES = 256  # of a provider's id of a call, in a usage row


def request_id_of(response: httpx.Response) -> str | None:
    """Return the provider's id of the call, cut if it is long."""
    given: str | None = response.headers.get("x-request-id")
    if given is None:
        return None
    return given.encode("utf-8", "replace")[:MAX_REQUEST_ID_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True)
class Exchange:
    """Calls for a parcel at its candidate."""

    parcel: Parcel
    site: ProviderSite
    clock: Clock

    async def ask(
        self, request: httpx.Request, key: CallKey | None, left_s: float
    ) -> tuple[ProviderAnswer | Verdict, httpx.Response | None]:
        """Call for `left_s` at most; return the answer or verdict, and the response if it is complete."""
        response: httpx.Response | None = None
        try:
            response = self._cleaned(await self._send(request, left_s), key)
            return self._judge(response), response
        except httpx.TransportError as error:
            return judge_loss(error), response
        except TimeoutError:
            return judge_loss(httpx.ReadTimeout("the deadline came first")), response

    async def _send(self, request: httpx.Request, left_s: float) -> httpx.Response:
        """Return the complete response. The transport keeps the provider's time limit, this an earlier deadline."""
        if left_s < self.site.provider.call_timeout_s:
            async with asyncio.timeout(left_s):
                return await self._whole(request)
        return await self._whole(request)

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        response = await self.site.transport.handle_async_request(request)
        if not response.is_closed:
            await response.aread()
        return response

    def _cleaned(self, response: httpx.Response, key: CallKey | None) -> httpx.Response:
        """Return the response without secrets: a provider may quote them. No other code sees what it sent."""
        masks = [self.site.mask] if key is None else [key.mask, self.site.mask]
        return masked_response(response, masks)

    def _judge(self, response: httpx.Response) -> ProviderAnswer | Verdict:
        content = response.content
        if not response.is_success:
            now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
            status, headers = response.status_code, response.headers
            verdict = judge_answer(self.site.adapter, status, headers, content, now=now)
            is_byok = self.parcel.candidate.credential_id is not None
            return self._about_key(verdict) if is_byok else verdict
        reply = self.site.adapter.read_answer(self.parcel.operation, content)
        return (
            reply if isinstance(reply, ProviderAnswer) else judge_fault(reply.outcome, reply.code)
        )

    def _about_key(self, verdict: Verdict) -> Verdict:
        """Name the BYOK key in a verdict that it was refused."""
        if verdict.status not in BAD_KEY:
            return verdict
        named = f"the BYOK key {self.parcel.candidate.credential_id!r}"
        return replace(
            verdict, message=f"the provider refused {named} with status {verdict.status}"
        )


def masked_response(response: httpx.Response, masks: Iterable[SecretMask]) -> httpx.Response:
    """Return `response` with all secrets masked, in its headers and its content; itself without any."""
    content = response.content
    values = b"\n".join(value for _, value in response.headers.raw)
    clean, clean_values = content, values
    for mask in masks:
        clean, clean_values = mask.clean(clean), mask.clean(clean_values)
    if clean is content and clean_values is values:
        return response
    named = zip(response.headers.raw, clean_values.split(b"\n"), strict=True)
    headers = [(name, value) for (name, _), value in named if name.lower() not in _OF_THE_BODY]
    return httpx.Response(response.status_code, headers=headers, content=clean)
