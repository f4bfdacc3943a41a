"""Models on real servers: what goes in comes out, and what the ORM asks is answered."""

from __future__ import annotations

import datetime
import io
import math
import uuid
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import DataError, IntegrityError, connection, models
from django.db.models import F, Sum
from django.db.models.functions import Concat, Length, TruncMonth, Upper
from shop.models import Item, Order

pytestmark = pytest.mark.usefixtures("connection")

MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", Decimal("-12345678.1234")),
        ("stock", 2**64 - 1),
        ("active", False),
        ("weight", math.pi),
        ("weight", None),
        ("code", uuid.UUID("01234567-89ab-4def-8123-456789abcdef")),
        ("tags", {"a": [1, 2.5, None, True, "ü 🐬"], "b": {"c": "it's"}}),
        ("tags", None),
        ("tags", "text"),
        ("picture", bytes(range(256)) * 20),
        ("picture", b"it's \\ %s"),
        ("made", MOMENT),
        ("day", datetime.date(1000, 1, 1)),
        ("opens", datetime.time(23, 59, 59, 999999)),
        ("takes", datetime.timedelta(days=-3, microseconds=1)),
        ("note", "it's \\ %s \0 \x1a 🐬"),
    ],
)
def test_values_come_back(field, value):
    made = Item.objects.create(name="one", **{field: value})
    read = Item.objects.get(pk=made.pk)
    assert getattr(read, field) == value and type(getattr(read, field)) is type(value)
    if field != "tags":
        assert Item.objects.filter(**{field: value}).exists()


def test_conditions_on_json():
    Item.objects.create(name="one", tags={"size": {"x": 3}, "kinds": ["a", "b"]})
    assert Item.objects.filter(tags__size__x=3, tags__kinds__1="b").count() == 1
    assert Item.objects.filter(tags__size__x__gt=3).count() == 0
    assert Item.objects.values_list("tags__size", flat=True).get() == {"x": 3}


def test_functions_and_aggregates():
    Item.objects.bulk_create([Item(name=f"i{n}", price=n, made=MOMENT) for n in range(1, 4)])
    assert Item.objects.aggregate(Sum("price"))["price__sum"] == Decimal(6)
    assert Item.objects.annotate(n=Length(Upper("name"))).values_list("n", flat=True)[0] == 2
    months = Item.objects.annotate(month=TruncMonth("day")).values_list("month", flat=True)
    assert set(months) == {None}
    assert Item.objects.filter(price__gt=1).update(price=F("price") + 1) == 2
    joined = Item.objects.annotate(both=Concat("name", models.Value("%s"))).order_by("pk")
    assert joined.first().both == "i1%s"


def test_update_counts_matched_rows():
    Item.objects.create(name="one", stock=5)
    assert Item.objects.filter(name="one").update(stock=5) == 1


def test_bulk_create():
    made = Item.objects.bulk_create([Item(name=f"i{n}") for n in range(300)], batch_size=100)
    assert Item.objects.count() == 300
    returned = all(item.pk for item in made)
    assert returned == connection.features.can_return_rows_from_bulk_insert
    again = [Item(name="i0", stock=7), Item(name="new")]
    Item.objects.bulk_create(again, ignore_conflicts=True)
    assert (Item.objects.get(name="i0").stock, Item.objects.count()) == (0, 301)
    Item.objects.bulk_create(again, update_conflicts=True, update_fields=["stock"])
    assert (Item.objects.get(name="i0").stock, Item.objects.count()) == (7, 301)


def test_relations_and_iterator():
    item = Item.objects.create(name="one")
    Order.objects.bulk_create([Order(item=item, count=n) for n in range(250)])
    seen = [each.item.name for each in Order.objects.iterator(chunk_size=100)]
    assert seen == ["one"] * 250
    assert Order.objects.select_related("item").filter(item__name="one").count() == 250
    assert len(Item.objects.prefetch_related("orders")[0].orders.all()) == 250


def test_raw_and_cursor():
    Item.objects.create(name="100%")
    (item,) = Item.objects.raw("select * from shop_item where name like %s", ["100\\%"])
    assert item.name == "100%"
    with connection.cursor() as cursor:
        cursor.execute("select name, 7 %% 4 from shop_item where name = %(n)s", {"n": "100%"})
        assert cursor.fetchall() == (("100%", 3),)
        assert [column[0] for column in cursor.description] == ["name", "7 % 4"]
        cursor.execute("select '%'")
        assert cursor.fetchone() == ("%",)


def test_errors_are_djangos():
    Item.objects.create(name="one")
    with pytest.raises(IntegrityError) as info:
        Item.objects.create(name="one")
    assert info.value.args[0] == 1062 and info.value.__cause__.code == "ER_DUP_ENTRY"
    with pytest.raises(IntegrityError):
        Item.objects.create(name=None)
    with pytest.raises(DataError):
        Item.objects.create(name="x" * 51)


def test_explain():
    assert "shop_item" in Item.objects.filter(weight=1).explain()
    assert "query" in Item.objects.explain(format="json")


def test_inspectdb():
    out = io.StringIO()
    call_command("inspectdb", "shop_item", stdout=out)
    text = out.getvalue()
    for line in (
        "price = models.DecimalField(max_digits=12, decimal_places=4)",
        "stock = models.PositiveBigIntegerField()",
        "tags = models.JSONField(blank=True, null=True)",
        "opens = models.TimeField(blank=True, null=True)",
    ):
        assert line in text
    out = io.StringIO()
    call_command("inspectdb", "shop_order", stdout=out)
    assert "ForeignKey" in out.getvalue()


@pytest.mark.parametrize(
    "value",
    [b"plain", b'"\'"', b"\x00\xfe\xff", b"42", b"\\"],
    ids=["plain", "quotes", "high", "digits", "backslash"],
)
def test_default_of_bytes(value):
    Item.objects.create(name="before")

    class Changed(models.Model):
        blob = models.BinaryField(default=value)

        class Meta:
            app_label = "changed"
            db_table = "shop_item"

    try:
        with connection.schema_editor() as editor:
            editor.add_field(Item, Changed._meta.get_field("blob"))
    finally:
        del Changed._meta.apps.all_models["changed"]
    with connection.cursor() as cursor:
        cursor.execute("select `blob` from shop_item")
        assert cursor.fetchone() == (value,)
