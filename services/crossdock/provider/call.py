"""One call: the request, the provider's answer, and what it means."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from crossdock.kernel.process.clock import Clock
from crossdock.provider.adapters.openai import Answer, Call, read_answer
from crossdock.provider.classify import Verdict, judge_answer, judge_fault, judge_loss
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.use import KeyInUse
from crossdock_schemas.ids import RequestId
from crossdock_schemas.parcel.parcel import Parcel

BAD_KEY = (401, 403)


@dataclass(frozen=True)
class Exchange:
    """Calls for a parcel at its candidate."""

    parcel: Parcel
    site: ProviderSite
    clock: Clock

    def request(
        self, request_id: RequestId, call: Call, number: int, key: KeyInUse | None
    ) -> httpx.Request:
        """Return the call; `number` tells a request's calls apart for the provider's own log.

        Raises:
            KeyShapeError: if the key leaves a place of the provider's address empty.
        """
        body = call.body if key is None else key.body(call.body, self.parcel.candidate.model)
        return self.site.request(
            self.parcel.operation,
            body,
            request_id,
            number,
            key=key,
            now_s=self.clock.now_ms() / 1000,
        )

    async def ask(
        self, request: httpx.Request, key: KeyInUse | None, left_s: float
    ) -> tuple[Answer | Verdict, httpx.Response | None]:
        """Return what came of the call within `left_s`, and the response if a whole one came."""
        response: httpx.Response | None = None
        try:
            response = await self._send(request, left_s)
            return self._judge(response, key), response
        except httpx.TransportError as error:
            return judge_loss(error), response
        except TimeoutError:
            return judge_loss(httpx.ReadTimeout("the deadline came first")), response

    async def _send(self, request: httpx.Request, left_s: float) -> httpx.Response:
        """Return the whole response. The door keeps the provider's own limit; an earlier deadline is kept here."""
        if left_s < self.site.provider.call_timeout_s:
            async with asyncio.timeout(left_s):
                return await self._whole(request)
        return await self._whole(request)

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        response = await self.site.transport.handle_async_request(request)
        if not response.is_closed:
            await response.aread()
        return response

    def _judge(self, response: httpx.Response, key: KeyInUse | None) -> Answer | Verdict:
        content = response.content if key is None else key.without(response.content)
        if not response.is_success:
            now = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
            verdict = judge_answer(response.status_code, response.headers, content, now=now)
            is_own = self.parcel.candidate.credential_id is not None
            return self._about_key(verdict) if is_own else verdict
        said = read_answer(self.parcel.operation, content)
        return said if isinstance(said, Answer) else judge_fault(said.outcome, said.code)

    def _about_key(self, verdict: Verdict) -> Verdict:
        """Tell the owner of a key that the provider does not take it."""
        if verdict.status not in BAD_KEY:
            return verdict
        named = f"the own provider key {self.parcel.candidate.credential_id!r}"
        return replace(
            verdict, message=f"the provider refused {named} with status {verdict.status}"
        )
