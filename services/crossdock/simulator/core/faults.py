"""Faults applied to valid answers: pure functions from answer to reply."""

from collections.abc import Iterator
from dataclasses import replace

from crossdock.simulator.core import answers
from crossdock.simulator.core.answers import Completion
from crossdock.simulator.core.behaviour import FaultKind
from crossdock.simulator.core.reply import LAST_CHUNK, Ending, Reply, chunk, head, plain

_PIECES = 4  # of a slow drip
_BEFORE_CUT_S = 0.02  # so that the first half arrives before the connection ends
_GARBAGE = b"<html>upstream sent something else</html>"
_STREAM = "text/event-stream; charset=utf-8"
_ERROR = answers.error("simulated error inside a 200", "server_error", "server_error")

Headers = dict[str, str]


def unfinished(completion: Completion, fault: FaultKind) -> Completion:
    """Return the completion without the parts that `fault` removes."""
    if fault == "no_usage":
        return replace(completion, has_usage=False)
    return replace(completion, finish=None) if fault == "no_finish" else completion


def spoiled(
    fault: FaultKind, body: bytes, extra: Headers, *, delay_s: float, drip_s: float
) -> Reply:
    """Return the reply with a plain `body` under `fault`."""
    half = len(body) // 2
    cut = head(200, len(body), extra) + body[:half]
    match fault:
        case "reset_mid_body":
            return _ended(cut, delay_s, is_reset=True)
        case "truncated_body":
            return _ended(cut, delay_s, is_reset=False)
        case "truncated_json" | "cut_stream":
            return _not_whole(plain(200, body[:half], extra, delay_s=delay_s))
        case "wrong_type":
            return plain(200, body, extra, delay_s=delay_s, kind="text/html")
        case "slow_drip":
            size = max(1, -(-len(body) // _PIECES))
            rest = (body[at : at + size] for at in range(0, len(body), size))
            return Reply(delay_s, head(200, len(body), extra), rest, gap_s=drip_s)
        case _:
            found = _without_answer(fault, extra, delay_s)
            return found or plain(200, body, extra, delay_s=delay_s)


def streamed(
    fault: FaultKind | None,
    events: list[bytes],
    extra: Headers,
    *,
    delay_s: float,
    gap_s: float,
    drip_s: float,
) -> Reply:
    """Return the reply with a stream of `events` under `fault`, chunked so that the connection stays open."""
    half = len(events) // 2
    match fault:
        case "reset_mid_body":
            return _ended(_start(extra) + _framed(events[:half]), delay_s, is_reset=True)
        case "truncated_body":
            return _ended(_start(extra) + _framed(events[:half]), delay_s, is_reset=False)
        case "cut_stream":
            return _not_whole(_stream(events[:half], extra, delay_s, gap_s))
        case "truncated_json":
            cut = [*events[:half], events[half][: len(events[half]) // 2]]
            return _not_whole(_stream(cut, extra, delay_s, gap_s))
        case "error_in_200":
            error = b"data: " + _ERROR + b"\n\n"
            return _not_whole(_stream([*events[:half], error], extra, delay_s, gap_s))
        case "wrong_type":
            return _stream(events, extra, delay_s, gap_s, kind="text/html")
        case "slow_drip":
            step = max(1, -(-len(events) // _PIECES))
            pieces = [b"".join(events[at : at + step]) for at in range(0, len(events), step)]
            return _stream(pieces, extra, delay_s, drip_s)
        case _:
            found = _without_answer(fault, extra, delay_s) if fault else None
            return found or _stream(events, extra, delay_s, gap_s)


def _without_answer(fault: FaultKind, extra: Headers, delay_s: float) -> Reply | None:
    match fault:
        case "timeout":
            return Reply(delay_s, b"", ending="hang", is_whole=False)
        case "reset":
            return Reply(delay_s, b"", ending="reset", is_whole=False)
        case "garbage":
            return _not_whole(plain(200, _GARBAGE, extra, delay_s=delay_s))
        case "error_in_200":
            return _not_whole(plain(200, _ERROR, extra, delay_s=delay_s))
        case _:
            return None


def _ended(first: bytes, delay_s: float, *, is_reset: bool) -> Reply:
    ending: Ending = "reset" if is_reset else "close"
    return Reply(delay_s, first, iter(()), ending, gap_s=_BEFORE_CUT_S, is_whole=False)


def _not_whole(reply: Reply) -> Reply:
    reply.is_whole = False
    return reply


def _start(extra: Headers, kind: str = _STREAM) -> bytes:
    return head(200, None, {"cache-control": "no-cache"} | extra, kind=kind)


def _framed(events: list[bytes]) -> bytes:
    return b"".join(map(chunk, events))


def _stream(
    events: list[bytes], extra: Headers, delay_s: float, gap_s: float, *, kind: str = _STREAM
) -> Reply:
    if gap_s == 0:
        return Reply(delay_s, _start(extra, kind) + _framed(events) + LAST_CHUNK)

    def pieces() -> Iterator[bytes]:
        yield from map(chunk, events[:-1])
        yield chunk(events[-1]) + LAST_CHUNK

    return Reply(delay_s, _start(extra, kind), pieces(), gap_s=gap_s)
