"""How a process connects to Kafka is read from the environment; what does not agree is refused with the remedy."""

import ssl
from pathlib import Path

import pytest

from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.kafka_settings import Access
from crossdock.kernel.process.settings import Settings, read_kafka
from support.certificates import Authority

USER = {"KAFKA_SASL_USERNAME": "crossdock", "KAFKA_SASL_PASSWORD": "s3cret"}


def test_without_settings_it_is_plain() -> None:
    found = read_kafka({"KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2"})

    assert found.client_options() == {"security_protocol": "PLAINTEXT", "ssl_context": None}


def test_a_user_is_given_to_the_clients() -> None:
    found = read_kafka(USER | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"})

    assert found.client_options() == {
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_context": None,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "crossdock",
        "sasl_plain_password": "s3cret",
    }
    assert "s3cret" not in repr(found)


def test_tls_checks_certificates_and_names(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("client")

    context = read_kafka(
        {
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CAFILE": str(authority.cafile),
            "KAFKA_SSL_CERTFILE": str(certificate),
            "KAFKA_SSL_KEYFILE": str(key),
        }
    ).ssl_context()

    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_what_is_read_can_be_given_to_another_process(tmp_path: Path) -> None:
    given = USER | {
        "KAFKA_BOOTSTRAP_SERVERS": "a:1",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SSL_CAFILE": str(Authority(tmp_path).cafile),
    }

    assert read_kafka(given).variables() == given
    assert read_kafka(Settings.from_env(given).variables()) == read_kafka(given)


WRONG = {
    "protocol": ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: .*'SASL_SSL'"),
    "mechanism": ({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM: .*'SCRAM-SHA-512'"),
    "no user": (
        {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
        "SASL_SSL needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: set both",
    ),
    "user without SASL": (USER, "KAFKA_SECURITY_PROTOCOL is PLAINTEXT: use SASL_SSL"),
    "file without TLS": (
        {"KAFKA_SSL_CAFILE": "/ca.pem"},
        "KAFKA_SSL_CAFILE is set, but KAFKA_SECURITY_PROTOCOL is PLAINTEXT",
    ),
    "no such file": (
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": "/none.pem"},
        "KAFKA_SSL_CAFILE: no file '/none.pem'",
    ),
    "key alone": (
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEYFILE": __file__},
        "KAFKA_SSL_KEYFILE is set without KAFKA_SSL_CERTFILE",
    ),
    "no PEM": (
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": __file__},
        "not valid PEM",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_agree_is_refused_with_the_remedy(name: str) -> None:
    environ, told = WRONG[name]

    for read in (read_kafka, Settings.from_env):
        with pytest.raises(SettingsError, match=told) as caught:
            read(environ)
        assert "s3cret" not in str(caught.value)


def test_a_password_goes_to_its_own_brokers_only() -> None:
    access = Access()
    access.use(
        read_kafka(
            USER
            | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_BOOTSTRAP_SERVERS": "ours:1"}
        )
    )

    assert access.options("ours:1")["sasl_plain_password"] == "s3cret"
    assert access.options("other:1") == {
        "bootstrap_servers": "other:1",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
