import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from crossdock.simulator.core import answers
from crossdock.simulator.core.answers import Completion
from crossdock.simulator.core.call import BadCallError, read_chat, read_embedding
from crossdock.simulator.core.embeddings import embeddings, vector_of
from crossdock.simulator.core.sample_text import text_of


def make_completion(
    model: str = "gull", output: int = 5, finish: str | None = "stop"
) -> Completion:
    return Completion("ab12", model, 1_800_000_000, 100, output, text_of(output, 0.3), finish)


def datas(events: list[bytes]) -> list[str]:
    return [event.removeprefix(b"data: ").removesuffix(b"\n\n").decode() for event in events]


@given(st.text(min_size=1), st.integers(1, 5000))
def test_a_completion_is_the_sdk_s_completion_whatever_the_model_is_called(
    model: str, output: int
) -> None:
    value = json.loads(make_completion(model, output).body())

    found = ChatCompletion.model_validate(value, strict=True)

    assert found.model == model
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert found.usage.total_tokens == 100 + output
    assert found.usage.completion_tokens == output
    assert found.usage.prompt_tokens_details is not None
    assert found.system_fingerprint == "fp_simulator"


def test_the_stream_says_what_the_plain_answer_says() -> None:
    completion = make_completion(output=12)

    *chunks, done = datas(completion.events(with_usage=True))

    parsed = [ChatCompletionChunk.model_validate_json(chunk) for chunk in chunks]
    text = "".join(c.choices[0].delta.content or "" for c in parsed if c.choices)
    assert text == completion.text
    assert parsed[-2].choices[0].finish_reason == "stop"
    assert parsed[-1].choices == []
    assert parsed[-1].usage is not None
    assert parsed[-1].usage.completion_tokens == 12
    assert done == "[DONE]"


def test_a_stream_has_a_usage_chunk_only_for_those_who_ask() -> None:
    events = datas(make_completion().events(with_usage=False))

    assert not any("usage" in event for event in events)


@given(st.integers(1, 4096), st.floats(0, 0.999))
def test_a_text_has_as_many_words_as_tokens(tokens: int, chance: float) -> None:
    assert len(text_of(tokens, chance).split(" ")) == tokens


@given(st.integers(1, 300), st.lists(st.text(), min_size=1, max_size=3))
def test_packed_and_plain_vectors_are_the_same_numbers_of_length_1(
    dimensions: int, inputs: list[str]
) -> None:
    plain = json.loads(embeddings(inputs, "e", 7, dimensions=dimensions, is_packed=False))
    packed = json.loads(embeddings(inputs, "e", 7, dimensions=dimensions, is_packed=True))

    found = CreateEmbeddingResponse.model_validate(plain)
    for entry, other in zip(found.data, packed["data"], strict=True):
        unpacked = struct.unpack(f"<{dimensions}f", base64.b64decode(other["embedding"]))
        assert unpacked == pytest.approx(entry.embedding, abs=1e-6)
        assert sum(x * x for x in entry.embedding) == pytest.approx(1, abs=1e-4)
    assert found.usage.total_tokens == 7


def test_other_inputs_have_other_vectors() -> None:
    assert vector_of("a", 8) != vector_of("b", 8)


def test_a_chat_call_is_read() -> None:
    call = read_chat(
        b'{"model":"m","messages":[{}],"max_tokens":9,"max_completion_tokens":4,"stream":true,'
        b'"stream_options":{"include_usage":true}}'
    )

    assert (call.model, call.cap, call.is_streamed, call.wants_usage) == ("m", 4, True, True)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        pytest.param('"one"', ["one"], id="a string"),
        pytest.param('["a","b"]', ["a", "b"], id="strings"),
        pytest.param("[1,2,3]", [[1, 2, 3]], id="tokens"),
        pytest.param("[[1,2],[3]]", [[1, 2], [3]], id="lists of tokens"),
    ],
)
def test_embedding_inputs_are_one_or_many(given: str, inputs: list[object]) -> None:
    assert read_embedding(f'{{"model":"e","input":{given}}}'.encode()).inputs == inputs


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        pytest.param(b"{", None, id="no JSON"),
        pytest.param(b"[]", None, id="no object"),
        pytest.param(b'{"messages":[{}]}', "model", id="no model"),
        pytest.param(b'{"model":7,"messages":[{}]}', "model", id="a number for a model"),
        pytest.param(b'{"model":"m"}', "messages", id="no messages"),
        pytest.param(b'{"model":"m","messages":[]}', "messages", id="empty messages"),
        pytest.param(
            b'{"model":"m","messages":[{}],"max_tokens":"5"}', "max_tokens", id="a string for a cap"
        ),
        pytest.param(b'{"model":"m","messages":[{}],"max_tokens":0}', "max_tokens", id="no tokens"),
    ],
)
def test_a_body_that_is_no_chat_call_names_the_parameter(raw: bytes, param: str | None) -> None:
    with pytest.raises(BadCallError) as caught:
        read_chat(raw)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("more", "param"),
    [
        pytest.param('"input":""', "input", id="empty input"),
        pytest.param('"input":7', "input", id="a number"),
        pytest.param('"input":"a","dimensions":5000', "dimensions", id="too many dimensions"),
        pytest.param('"input":"a","encoding_format":"x"', "encoding_format", id="unknown format"),
        pytest.param(f'"input":{json.dumps(["a"] * 2049)}', "input", id="too many inputs"),
    ],
)
def test_a_body_that_is_no_embedding_call_names_the_parameter(more: str, param: str) -> None:
    with pytest.raises(BadCallError) as caught:
        read_embedding(f'{{"model":"e",{more}}}'.encode())

    assert caught.value.param == param


def test_an_error_is_openai_s_envelope() -> None:
    value = json.loads(answers.error("no", "server_error", None))

    assert value == {
        "error": {"message": "no", "type": "server_error", "param": None, "code": None}
    }
