from crossdock.kernel.drivers.clickhouse import migrations, order_views, split_statements, views

TEXTS = {
    "audited": "CREATE OR REPLACE VIEW crossdock.audited AS SELECT 1 FROM crossdock.totals;\n",
    "totals": "CREATE OR REPLACE VIEW crossdock.totals AS SELECT 1 FROM crossdock.journal;\n",
    "usage": "CREATE OR REPLACE VIEW crossdock.usage AS SELECT 1 FROM crossdock.attempts;\n",
}


def test_a_view_comes_after_those_that_it_reads() -> None:
    order = [name.split()[0] for name, _ in order_views(TEXTS)]

    assert order.index("totals") < order.index("audited")


def test_a_changed_view_is_made_again_with_all_that_read_it() -> None:
    changed = TEXTS | {"totals": TEXTS["totals"].replace("SELECT 1", "SELECT 2")}

    before, after = ({name for name, _ in order_views(texts)} for texts in (TEXTS, changed))

    assert {name.split()[0] for name in after - before} == {"totals", "audited"}


def test_each_file_of_views_makes_the_view_that_it_is_named_after() -> None:
    for name, statements in views():
        assert len(statements) == 1
        assert statements[0].split()[:5] == [
            "CREATE", "OR", "REPLACE", "VIEW", f"crossdock.{name.split()[0]}",
        ]  # fmt: skip


def test_no_migration_of_tables_makes_a_view() -> None:
    assert not [name for name, statements in migrations() if "VIEW" in " ".join(statements)]


def test_statements_end_at_a_semicolon_at_a_lines_end_and_comments_are_dropped() -> None:
    found = split_statements("-- first;\nSELECT ';x';\n\n-- second\nSELECT 2\n  + 3;\n")

    assert found == ["SELECT ';x'", "SELECT 2\n  + 3"]
