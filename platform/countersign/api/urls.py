"""Every route of the API, version 1."""

from __future__ import annotations

from django.urls import path, re_path

from countersign.api.absences import views as absences
from countersign.api.approvals import views as approvals
from countersign.api.calls import views as calls
from countersign.api.docs import Docs, Schema
from countersign.api.holds import views as holds
from countersign.api.memories import views as memories
from countersign.api.notifications import views as notifications
from countersign.api.policies import views as policies
from countersign.api.problems import unknown_address
from countersign.api.saved import views as saved
from countersign.api.standing import views as standing
from countersign.api.tasks import views as tasks

app_name = "api"

urlpatterns = [
    path("v1/tasks", tasks.Tasks.as_view(), name="tasks"),
    path("v1/tasks/<uuid:pk>", tasks.OneTask.as_view(), name="task"),
    path("v1/tasks/<uuid:pk>/events", tasks.TaskEvents.as_view(), name="task_events"),
    path("v1/tasks/<uuid:pk>/stream", tasks.TaskStream.as_view(), name="task_stream"),
    path("v1/tasks/<uuid:pk>/cancel", tasks.TaskCancel.as_view(), name="task_cancel"),
    path("v1/tasks/<uuid:pk>/pause", holds.TaskPause.as_view(), name="task_pause"),
    path("v1/tasks/<uuid:pk>/resume", holds.TaskResume.as_view(), name="task_resume"),
    path("v1/tasks/<uuid:pk>/notes", tasks.TaskNotes.as_view(), name="task_notes"),
    path(
        "v1/tasks/<uuid:pk>/escalations/<uuid:escalation_pk>",
        tasks.TaskEscalation.as_view(),
        name="task_escalation",
    ),
    path(
        "v1/tasks/<uuid:pk>/steps/<uuid:step_pk>/retry",
        tasks.StepRetry.as_view(),
        name="step_retry",
    ),
    path("v1/approvals", approvals.Approvals.as_view(), name="approvals"),
    path("v1/approvals/bulk", approvals.BulkApproval.as_view(), name="bulk"),
    path("v1/approvals/<uuid:pk>", approvals.OneApproval.as_view(), name="approval"),
    path("v1/approvals/<uuid:pk>/signatures", approvals.Signatures.as_view(), name="signatures"),
    path("v1/approvals/<uuid:pk>/viewed", approvals.ViewedFiles.as_view(), name="viewed"),
    path("v1/approvals/<uuid:pk>/edits", approvals.Edits.as_view(), name="edits"),
    path("v1/approvals/<uuid:pk>/snooze", approvals.Snoozes.as_view(), name="snooze"),
    path("v1/approvals/<uuid:pk>/assignment", approvals.Assignments.as_view(), name="assignment"),
    path("v1/approvals/<uuid:pk>/undo", approvals.Undo.as_view(), name="undo"),
    path("v1/approvals/<uuid:pk>/revert", approvals.Revert.as_view(), name="revert"),
    path(
        "v1/approvals/<uuid:pk>/propose-again",
        approvals.ProposeAgain.as_view(),
        name="propose_again",
    ),
    path("v1/absence", absences.YourAbsence.as_view(), name="absence"),
    path("v1/calls", calls.Calls.as_view(), name="calls"),
    path("v1/calls/<uuid:pk>", calls.OneCall.as_view(), name="call"),
    path("v1/calls/<uuid:pk>/snooze", calls.CallSnoozes.as_view(), name="call_snooze"),
    path("v1/calls/<uuid:pk>/assignment", calls.CallAssignments.as_view(), name="call_assignment"),
    path("v1/calls/<uuid:pk>/decision", calls.CallDecision.as_view(), name="call_decision"),
    path("v1/calls/<uuid:pk>/undo", calls.CallUndo.as_view(), name="call_undo"),
    path("v1/standing-grants", standing.StandingGrants.as_view(), name="standing_grants"),
    path(
        "v1/standing-grants/<uuid:pk>",
        standing.OneStandingGrant.as_view(),
        name="standing_grant",
    ),
    path(
        "v1/standing-grants/<uuid:pk>/revoke",
        standing.StandingGrantRevoked.as_view(),
        name="revoke_standing_grant",
    ),
    path("v1/holds", holds.Holds.as_view(), name="holds"),
    path("v1/holds/<uuid:pk>", holds.OneHold.as_view(), name="hold"),
    path("v1/projects/<slug:slug>/policy", policies.PolicyOfProject.as_view(), name="policy"),
    path("v1/notifications", notifications.Notifications.as_view(), name="notifications"),
    path(
        "v1/notifications/read",
        notifications.NotificationsRead.as_view(),
        name="notifications_read",
    ),
    path(
        "v1/notifications/preferences",
        notifications.Preferences.as_view(),
        name="notification_preferences",
    ),
    path("v1/memories", memories.Memories.as_view(), name="memories"),
    path("v1/memories/search", memories.MemorySearch.as_view(), name="memory_search"),
    path("v1/memories/<uuid:pk>", memories.OneMemory.as_view(), name="memory"),
    path("v1/views", saved.Views.as_view(), name="views"),
    path("v1/views/<uuid:pk>", saved.OneView.as_view(), name="view"),
    path("v1/schema", Schema.as_view(), name="schema"),
    path("v1/docs", Docs.as_view(url_name="api:schema"), name="docs"),
    re_path(r"", unknown_address, name="unknown_address"),
]
