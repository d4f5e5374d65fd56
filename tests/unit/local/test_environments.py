"""A process gets the variables that it needs, and no secret of another one."""

import pytest

from crossdock.local.environments import of_stage, plain
from crossdock_schemas.stages import PROVISION, STAGES, Stage

EVERY = (PROVISION, *STAGES)
SECRETS = {
    "CROSSDOCK_MANAGEMENT_KEY": (),
    "OPENAI_API_KEY": (),
    "CROSSDOCK_MASTER_KEY": (),
    "CLICKHOUSE_URL": (),
    "KAFKA_SASL_PASSWORD": (),
    "CROSSDOCK_OBJECTS_URL": (),
    "ANYTHING_ELSE": (),
    "PROVIDER_KEY": ("provider",),
    "AWS_SECRET_ACCESS_KEY": ("ingress", "accounts", "batches", "router", "provider"),
    "https_proxy": ("ingress", "accounts", "batches", "router", "provider"),
    "CROSSDOCK_INGRESS_STRIPE_WEBHOOK_SECRET": ("ingress",),
    "CROSSDOCK_PROVIDER_CAPACITY": ("provider",),
    "CROSSDOCK_REPLICATION": ("provision",),
}
SHARED = ("PATH", "LC_ALL", "PYTHONPATH", "CROSSDOCK_LOG_LEVEL", "CROSSDOCK_LEASE_S")


@pytest.mark.parametrize("stage", EVERY, ids=lambda stage: stage.name)
def test_a_stage_gets_its_own_secrets_alone(stage: Stage) -> None:
    environ = dict.fromkeys((*SECRETS, *SHARED), "x")

    found = of_stage(stage, environ, ["PROVIDER_KEY"])

    assert found.keys() == {
        *SHARED,
        *(name for name, stages in SECRETS.items() if stage.name in stages),
    }


@pytest.mark.parametrize("name", ["simulator", "engine"])
def test_an_engine_gets_no_secret(name: str) -> None:
    environ = dict.fromkeys((*SECRETS, *SHARED, f"CROSSDOCK_{name.upper()}_PORT"), "x")

    assert plain(environ, name).keys() == {*SHARED, f"CROSSDOCK_{name.upper()}_PORT"}
