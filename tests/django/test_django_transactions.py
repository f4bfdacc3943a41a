"""Transactions, locks and isolation under Django."""

from __future__ import annotations

import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connections, transaction
from shop.models import Item


@pytest.fixture
def elsewhere(connection):
    """Another connection to the same database."""
    other = connection.copy()
    yield other
    other.close()


def test_atomic_blocks_nest(connection):
    done = []
    with transaction.atomic():
        Item.objects.create(name="kept")
        with pytest.raises(RuntimeError), transaction.atomic():
            Item.objects.create(name="dropped")
            raise RuntimeError
        transaction.on_commit(lambda: done.append(True))
        assert not done
    assert done and list(Item.objects.values_list("name", flat=True)) == ["kept"]
    with pytest.raises(RuntimeError), transaction.atomic():
        Item.objects.create(name="dropped")
        raise RuntimeError
    assert Item.objects.count() == 1


def test_savepoints_by_hand(connection):
    # Django 6.1 renamed it
    begin = getattr(transaction, "savepoint_create", None) or transaction.savepoint
    with transaction.atomic():
        mark = begin()
        Item.objects.create(name="dropped")
        transaction.savepoint_rollback(mark)
        Item.objects.create(name="kept")
    assert Item.objects.get().name == "kept"


def test_autocommit_off(connection, elsewhere):
    connection.set_autocommit(False)
    Item.objects.create(name="one")
    with elsewhere.cursor() as cursor:
        cursor.execute("select count(*) from shop_item")
        assert cursor.fetchone() == (0,)
    connection.commit()
    with elsewhere.cursor() as cursor:
        cursor.execute("select count(*) from shop_item")
        assert cursor.fetchone() == (1,)
    connection.set_autocommit(True)


def test_select_for_update(connection, elsewhere):
    Item.objects.create(name="one")
    with transaction.atomic():
        Item.objects.select_for_update().get(name="one")
        with elsewhere.cursor() as cursor, pytest.raises(DatabaseError) as info:
            cursor.execute("select * from shop_item for update nowait")
        # MariaDB's and MySQL's "would have to wait"
        assert info.value.args[0] in (1205, 3572)
    with transaction.atomic():
        assert Item.objects.select_for_update(skip_locked=True).count() == 1


def test_deadlock(connection):
    """Two transactions want each other's rows; one of them is told so, and may try again."""
    Item.objects.bulk_create([Item(name="a"), Item(name="b")])
    both = threading.Barrier(2, timeout=20)
    failures, commits = [], []

    def change(first, second):
        try:
            with transaction.atomic():
                Item.objects.filter(name=first).update(stock=1)
                both.wait()
                Item.objects.filter(name=second).update(stock=1)
            commits.append(first)
        except OperationalError as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=change, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (error,) = failures
    assert len(commits) == 1
    assert error.args[0] == 1213 and error.__cause__.retry.name == "TRANSACTION"


def level(connection):
    with connection.cursor() as cursor:
        cursor.execute(
            "show variables where variable_name in ('transaction_isolation', 'tx_isolation')"
        )
        return cursor.fetchone()[1]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({}, "READ-COMMITTED"),
        ({"isolation_level": "serializable"}, "SERIALIZABLE"),
        ({"isolation_level": "Repeatable Read"}, "REPEATABLE-READ"),
    ],
)
def test_isolation_level(use, option, expected):
    assert level(use(options=option)) == expected


def test_isolation_level_of_the_server(use, set_global):
    name = "tx_isolation"
    connection = use(options={"isolation_level": None})
    with connection.cursor() as cursor:
        cursor.execute("show variables like 'transaction_isolation'")
        name = "transaction_isolation" if cursor.fetchone() else name
    connection.close()
    set_global(name, "SERIALIZABLE")
    assert level(connection) == "SERIALIZABLE"


def test_isolation_level_unknown(use):
    with pytest.raises(ImproperlyConfigured, match="read committed"):
        use(options={"isolation_level": "snapshot"}).ensure_connection()
