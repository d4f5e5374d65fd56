"""The AsyncAPI 3.0 document of the topics."""

import re
from collections.abc import Iterator

from crossdock_schemas.contracts.schema import Json, contracts_of
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import TOPICS


def _channel_id(topic: Topic) -> str:
    return topic.name.partition(".<")[0]


def _message_ids(topic: Topic) -> list[str]:
    return [one.model.__name__ for one in contracts_of(topic)] or ["Opaque"]


def asyncapi() -> Json:
    """Return the AsyncAPI document; its schemas are in the files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Crossdock",
            "version": "1",
            "description": "Messages between the stages. Readers ignore unknown fields.",
        },
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "variables": {
                    "bootstrap": {
                        "default": "127.0.0.1:9092",
                        "description": "KAFKA_BOOTSTRAP_SERVERS",
                    }
                },
            }
        },
        "channels": {_channel_id(topic): _channel(topic) for topic in TOPICS},
        "operations": {name: operation for topic in TOPICS for name, operation in _calls(topic)},
    }


def _channel(topic: Topic) -> Json:
    channel: Json = {
        "address": topic.name.replace("<", "{").replace(">", "}"),
        "messages": _messages(topic),
        "bindings": {"kafka": _channel_binding(topic)},
    }
    if names := re.findall(r"<(\w+)>", topic.name):
        channel["parameters"] = {name: {"description": f"The {name}'s name."} for name in names}
    return channel


def _channel_binding(topic: Topic) -> Json:
    settings: Json = {"cleanup.policy": [topic.cleanup]}
    if topic.retention_ms is not None:
        settings["retention.ms"] = topic.retention_ms
    binding: Json = {"topicConfiguration": settings, "bindingVersion": "0.5.0"}
    if topic.partitions is not None:
        binding["partitions"] = topic.partitions
    return binding


def _messages(topic: Topic) -> Json:
    key = {"type": "string", "description": topic.key}
    shared: Json = {"bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}}}
    opaque: Json = {"type": "string", "description": topic.value}
    if not contracts_of(topic):
        return {"Opaque": {"payload": opaque, **shared}}
    found: Json = {}
    for contract in contracts_of(topic):
        schema: Json = {"$ref": f"./{contract.name}.json"}
        is_envelope = topic.header is not None
        found[contract.model.__name__] = {
            "headers": _headers(topic, schema if is_envelope else None),
            "payload": opaque if is_envelope else schema,
            "contentType": "application/jsonl" if is_envelope else "application/json",
            **shared,
        }
    return found


def _headers(topic: Topic, envelope: Json | None) -> Json:
    text: Json = {"type": "string"}
    properties: Json = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": text,
        "ce_type": {"const": topic.ce_type},
        "ce_source": text,
        "ce_time": {"type": "string", "format": "date-time"},
    }
    if envelope is not None:
        properties["crossdock"] = envelope
    return {"type": "object", "required": list(properties), "properties": properties}


def _calls(topic: Topic) -> Iterator[tuple[str, Json]]:
    channel = f"#/channels/{_channel_id(topic)}"
    for action, stages in (("send", topic.producers), ("receive", topic.consumers)):
        for stage in stages:
            yield (
                f"{stage}.{action}.{_channel_id(topic)}",
                {
                    "action": action,
                    "channel": {"$ref": channel},
                    "messages": [
                        {"$ref": f"{channel}/messages/{name}"} for name in _message_ids(topic)
                    ],
                    "tags": [{"name": stage}],
                },
            )
