"""One call: the provider's response, and the judgement on it."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from crossdock.kernel.process.clock import Clock
from crossdock.provider.adapters.types import ProviderAnswer
from crossdock.provider.classify import Verdict, judge_answer, judge_fault, judge_loss
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.parcel.parcel import Parcel

BAD_KEY = (401, 403)
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
            response = await self._send(request, left_s)
            return self._judge(response, key), response
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

    def _judge(self, response: httpx.Response, key: CallKey | None) -> ProviderAnswer | Verdict:
        content = response.content if key is None else key.without(response.content)
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
