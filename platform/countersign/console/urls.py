"""The console's routes; labels people say (T-12) are the ids in URLs."""

from __future__ import annotations

from django.urls import path

from countersign.console.views import (
    account,
    acts,
    assigning,
    decisions,
    holding,
    inbox,
    lessons,
    new,
    review,
    session,
    shell,
    snoozes,
    task,
    tasks,
    trace,
)

app_name = "console"

urlpatterns = [
    path("", shell.home, name="home"),
    path("live", shell.live, name="live"),
    path("jump", shell.jump, name="jump"),
    path("sign-in", session.sign_in, name="sign_in"),
    path("sign-out", session.sign_out, name="sign_out"),
    path("settings", account.settings_page, name="settings"),
    path("settings/theme", account.theme, name="theme"),
    path("settings/keys", account.single_keys, name="single_keys"),
    path("new", new.new, name="new"),
    path("tasks", tasks.task_list, name="tasks"),
    path("tasks/T-<int:number>", task.task, name="task"),
    path("tasks/T-<int:number>/live", task.live, name="task_live"),
    path("tasks/T-<int:number>/earlier", task.earlier, name="task_earlier"),
    path("tasks/T-<int:number>/trace", trace.trace, name="trace"),
    path("tasks/T-<int:number>/trace/live", trace.live, name="trace_live"),
    path("tasks/T-<int:number>/stop", acts.stop, name="task_stop"),
    path("tasks/T-<int:number>/pause", holding.pause, name="task_pause"),
    path("tasks/T-<int:number>/resume", holding.resume, name="task_resume"),
    path("tasks/T-<int:number>/priority", holding.priority, name="task_priority"),
    path("tasks/T-<int:number>/note", acts.note, name="task_note"),
    path("tasks/T-<int:number>/escalations/<uuid:pk>", acts.resolve, name="escalation"),
    path("tasks/T-<int:number>/steps/<uuid:pk>/again", acts.send_again, name="step_again"),
    path("operations", holding.operations, name="operations"),
    path("operations/hold", holding.place, name="hold"),
    path("operations/holds/<uuid:pk>/lift", holding.lift, name="lift"),
    path("inbox", inbox.inbox, name="inbox"),
    path("inbox/live", inbox.live, name="inbox_live"),
    path("inbox/<uuid:pk>/snooze", snoozes.snooze, name="snooze"),
    path("inbox/<uuid:pk>/assign", assigning.assign, name="assign"),
    path("inbox/<uuid:pk>/release", assigning.release, name="release"),
    path("inbox/<uuid:pk>/wake", snoozes.wake, name="wake"),
    path("review/T-<int:number>/r<int:round_number>", review.review, name="review"),
    path("review/T-<int:number>/r<int:round_number>/live", review.live, name="review_live"),
    path("review/T-<int:number>/r<int:round_number>/main", review.main_moved, name="main_moved"),
    path("review/T-<int:number>/r<int:round_number>/viewed", review.viewed, name="viewed"),
    path("review/T-<int:number>/r<int:round_number>/decide", decisions.decide, name="decide"),
    path("review/T-<int:number>/r<int:round_number>/undo", decisions.undo, name="undo"),
    path("review/T-<int:number>/r<int:round_number>/revert", decisions.revert, name="revert"),
    path("review/T-<int:number>/r<int:round_number>/again", decisions.again, name="again"),
    path("memory", lessons.memory, name="memory"),
    path("memory/<uuid:pk>/<slug:act>", lessons.act, name="memory_act"),
]
