"""What is read around a sealed approval, and of whom."""

from __future__ import annotations

import pytest
from django.db import connection
from django.http import Http404
from django.test.utils import CaptureQueriesContext

from approvals.models import Approval
from countersign.console import review_rows
from projects.across import Mine
from projects.models import User
from tests import console_fixtures as fixtures
from tests.approval_fixtures import approve

pytestmark = pytest.mark.django_db


@pytest.fixture
def approval(project, requester, lead) -> Approval:
    approval = fixtures.reviewed_task(project, requester).approval
    approve(approval, lead)
    return Approval.objects.select_related("task", "proposal").get(pk=approval.pk)


@pytest.mark.parametrize("whole", [True, False])
def test_no_password_hash_travels_with_the_names_of_people(approval, lead, whole):
    mine = Mine.of(lead)
    with CaptureQueriesContext(connection) as queries:
        record = review_rows.read(approval, lead, mine, whole=whole)
        names = [approval.decided_by.display_name, approval.requester.initials]
        names += [each.signer.display_name for each in record.signatures]
    assert len(names) == 3
    column = f'"{User._meta.db_table}"."password"'
    assert [each["sql"] for each in queries if column in each["sql"]] == []


def test_who_has_left_the_project_meanwhile_is_told_nothing(approval, lead):
    with pytest.raises(Http404):
        review_rows.read(approval, lead, Mine())
