"""One field of each kind that a database has to get right, and a relation."""

from __future__ import annotations

import uuid

from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=50, unique=True)
    price = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    stock = models.PositiveBigIntegerField(default=0)
    active = models.BooleanField(default=True)
    weight = models.FloatField(null=True)
    code = models.UUIDField(default=uuid.uuid4)
    tags = models.JSONField(default=dict, null=True)
    picture = models.BinaryField(default=b"")
    made = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    opens = models.TimeField(null=True)
    takes = models.DurationField(null=True)
    note = models.TextField(default="")


class Order(models.Model):
    item = models.ForeignKey(Item, models.CASCADE, related_name="orders")
    count = models.IntegerField(default=1)
