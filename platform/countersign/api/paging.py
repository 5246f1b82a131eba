"""Keyset paging: an opaque, signed cursor names the last row of a page."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from django.core import signing
from django.db import models
from rest_framework import serializers
from rest_framework.utils.urls import replace_query_param

from countersign.api.fields import Query
from countersign.api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rest_framework.request import Request

    from projects.across import Across

Row = TypeVar("Row", bound=models.Model)

LIMIT = 50
MOST = 200
_signer = signing.Signer(salt="countersign.api.cursor")


class PageQuery(Query):
    """How much, and from where on."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=LIMIT)
    cursor = serializers.CharField(max_length=200, required=False, help_text="From `next`; opaque.")


def page(
    rows: models.QuerySet[Row], *, limit: int, cursor: str | None, request: Request
) -> tuple[Sequence[Row], str | None]:
    """Return one page, newest first, and the URL of the next; ids are ordered by time.

    Raises Problem 400 for a cursor we did not make.
    """
    if cursor is not None:
        rows = rows.filter(pk__lt=_opened(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return found[:limit], _next_url(request, found[limit - 1].pk) if more else None


def page_across(
    listed: Across,
    load: Callable[[models.QuerySet[Any]], models.QuerySet[Any]],
    *,
    limit: int,
    cursor: str | None,
    request: Request,
) -> tuple[Sequence[Any], str | None]:
    """Return one page of a list over projects, as `page` does; `load` says what to read with a row."""
    if cursor is not None:
        listed = listed.filter(pk__lt=_opened(cursor))
    rows = listed.rows.model._default_manager.filter(pk__among=listed.keys(["-id"], limit + 1))
    return page(load(rows), limit=limit, cursor=None, request=request)


def _next_url(request: Request, last: Any) -> str:
    cursor = _signer.sign(uuid.UUID(str(last)).hex)
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)


def _opened(cursor: str) -> uuid.UUID:
    try:
        return uuid.UUID(_signer.unsign(cursor))
    except (signing.BadSignature, ValueError) as error:
        raise Problem(
            400,
            "The cursor is not one of ours. Begin without it, or follow `next`.",
            errors={"cursor": ["This cursor is not valid."]},
        ) from error
