from pathlib import Path

from crossdock.kernel.drivers.clickhouse import Tables, migrate, migrations, open_tables, views
from support.engines import start_clickhouse

OLD_STATEMENTS = Path(__file__).with_name("tables_0013.sql").read_text().splitlines()[1:]
OLD_NAMES = (
    "0001_tables", "0002_views", "0003_control_log", "0004_journal", "0005_holds", "0006_byok",
    "0007_credits", "0008_alerts", "0009_fluid_budgets", "0012_credit_expiry", "0013_attribution",
)  # fmt: skip


async def show_all(tables: Tables) -> dict[str, str]:
    """Return what SHOW CREATE says of each table and view."""
    names = await tables.query("SELECT name FROM system.tables WHERE database = 'crossdock'")
    return {
        name: (await tables.query(f"SHOW CREATE TABLE crossdock.{name}"))[0][0] for (name,) in names
    }


async def make_old_folder(tables: Tables) -> None:
    await tables.command("CREATE DATABASE crossdock")
    await tables.command(
        "CREATE TABLE crossdock.migrations (name String, at DateTime64(3) DEFAULT now64(3)) "
        "ENGINE = MergeTree ORDER BY name"
    )
    for statement in OLD_STATEMENTS:
        await tables.command(statement.rstrip(";"))
    values = ", ".join(f"('{name}')" for name in OLD_NAMES)
    await tables.command(f"INSERT INTO crossdock.migrations (name) VALUES {values}")


async def test_a_folder_whose_migrations_made_views_ends_as_a_fresh_one(
    clickhouse_url: str, tmp_path: Path
) -> None:
    """Views were copied from migration to migration until 0013; what ran then does not run again."""
    async with open_tables(clickhouse_url) as tables:
        await migrate(tables)
        fresh = await show_all(tables)

    with start_clickhouse(tmp_path / "data") as url:
        async with open_tables(url) as tables:
            await make_old_folder(tables)
            ran = await migrate(tables)
            upgraded = await show_all(tables)

    assert ran == [name for name, _ in (*migrations(), *views()) if name not in OLD_NAMES]
    assert upgraded == {name: fresh[name] for name in upgraded}
    assert upgraded.keys() >= {name.split()[0] for name, _ in views()}


async def test_migrations_run_once_each(clickhouse_url: str) -> None:
    async with open_tables(clickhouse_url) as tables:
        await migrate(tables)

        again = await migrate(tables)

        rows = await tables.query("SELECT DISTINCT name FROM crossdock.migrations")
    assert again == []
    assert {row[0] for row in rows} >= {name for name, _ in (*migrations(), *views())}


async def test_a_view_that_is_another_one_now_is_made_again_alone(clickhouse_url: str) -> None:
    async with open_tables(clickhouse_url) as tables:
        await migrate(tables)
        await tables.command("DROP VIEW crossdock.usage_by_hour")
        await tables.command(
            "INSERT INTO crossdock.migrations SELECT 'usage_by_hour 0123456789abcdef', now64(3)"
        )

        again = await migrate(tables)

        assert [name.split()[0] for name in again] == ["usage_by_hour"]
        assert await tables.query("SELECT * FROM crossdock.usage_by_hour LIMIT 0") == []
        assert await migrate(tables) == []


async def test_every_statement_may_run_again_after_a_crash(clickhouse_url: str) -> None:
    async with open_tables(clickhouse_url) as tables:
        await migrate(tables)
        before = await show_all(tables)
        await tables.command("TRUNCATE TABLE crossdock.migrations")

        again = await migrate(tables)

        assert again == [name for name, _ in (*migrations(), *views())]
        assert await show_all(tables) == before
