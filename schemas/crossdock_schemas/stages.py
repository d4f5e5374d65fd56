"""Stages as data: how each one processes and what it guarantees. Its topics name it in `topics`.

`crossdock up`, the checks of compose.yaml and of the stages' docstrings, and the table in infra/docs/topics.md are made
from `STAGES`.
"""

from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How a stage processes records."""

    SERVICE = "HTTP service that follows topics"
    SHARD = "shard"
    AGENT = "agent (faust)"
    POOL = "pool"
    SINK = "sink"
    JOB = "job that runs once"


class Guarantee(Enum):
    """The property that a stage keeps when it is killed at any point."""

    ACKNOWLEDGED_WRITES = (
        "A 2xx answer is sent after Kafka acknowledged the record, and the object store its object."
    )
    EXACTLY_ONCE_OUTPUTS = (
        "Outputs, state and source positions become visible in one Kafka transaction."
    )
    AT_LEAST_ONCE_CALLS = (
        "A call is claimed before it begins, and its usage is published before its result. A call is repeated only "
        "if its outcome is unknown; readers keep the first result."
    )
    AT_LEAST_ONCE_INSERTS = (
        "Offsets are committed after ClickHouse acknowledged the rows; a repeated row collapses."
    )
    REPEATABLE = "Each run leaves the same state."


@dataclass(frozen=True, slots=True)
class Stage:
    """A process of an installation."""

    name: str
    shape: Shape
    guarantee: Guarantee
    package: str = ""
    """Package below `crossdock` that holds its `main`; empty: named as the stage."""
    has_master_keys: bool = False
    """Whether it encrypts or decrypts BYOK keys."""
    has_objects: bool = True
    """Whether it uses the object store."""
    has_tables: bool = False
    """Whether it uses ClickHouse."""
    has_provider_keys: bool = False
    """Whether it gets the installation keys that the catalogue names."""
    has_key_secret: bool = False
    """Whether it gets the secret that proves API keys."""

    @property
    def module(self) -> str:
        """The module that runs it."""
        return f"crossdock.{self.package or self.name}.main"


STAGES = (
    Stage(
        "ingress",
        Shape.SERVICE,
        Guarantee.ACKNOWLEDGED_WRITES,
        has_master_keys=True,
        has_key_secret=True,
    ),
    Stage("accounts", Shape.SHARD, Guarantee.EXACTLY_ONCE_OUTPUTS),
    Stage("batches", Shape.SHARD, Guarantee.EXACTLY_ONCE_OUTPUTS),
    Stage("router", Shape.AGENT, Guarantee.EXACTLY_ONCE_OUTPUTS),
    Stage(
        "provider",
        Shape.POOL,
        Guarantee.AT_LEAST_ONCE_CALLS,
        has_master_keys=True,
        has_provider_keys=True,
    ),
    Stage(
        "metering",
        Shape.SINK,
        Guarantee.AT_LEAST_ONCE_INSERTS,
        has_objects=False,
        has_tables=True,
    ),
)
"""The stages in the order in which a request passes them. Each may run several times, under ordinals from 0."""
PROVISION = Stage(
    "provision",
    Shape.JOB,
    Guarantee.REPEATABLE,
    package="kernel.provisioning",
    has_objects=False,
    has_tables=True,
)
"""Makes topics, tables and the first organization before the stages start."""
