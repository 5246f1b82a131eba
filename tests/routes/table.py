"""What is declared: each route, method and person, and the class of the answer.

    page     it is shown, or what was asked is answered; nothing changed
    on       sent on to another page, which says why when something was refused; nothing changed
    done     answered, and rows changed; the audit log says who did it, and from which address
    sign-in  sent to sign in
    401 …    refused with that status; nothing changed

A new route needs its lines here, and a form in `FORMS` when it takes one. `of` names what the holes
of its address stand for, in turn: a name of `World.names`, or the text itself. A method without a
line is refused as `UNLISTED` says. `nobody` is who has not signed in, and a disabled person with
the session they had; `token` is a lead's, with every scope; `outsider` leads another project.
`member` may ask for work in the project and did not ask for this: what the requester is answered,
but for `OF_MEMBER`.
"""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = ("nobody", "token", "requester", "lead", "second", "outsider", "admin")
_ALL = (*COLUMNS, "member")
AREAS = ("console", "api", "open")

CONSOLE = """
route          method     of                  nobody   token    requester lead  second outsider admin
home           GET        -                   sign-in  sign-in  on        on    on     on       on
live           GET        -                   sign-in  sign-in  page      page  page   page     page
jump           GET        -                   sign-in  sign-in  page      page  page   page     page
settings       GET        -                   sign-in  sign-in  page      page  page   page     page
theme          POST       -                   sign-in  sign-in  done      done  done   done     done
single_keys    POST       -                   sign-in  sign-in  done      done  done   done     done
pace_put_away  POST       -                   sign-in  sign-in  on        on    on     on       on
leave          POST       -                   sign-in  sign-in  done      done  done   done     done
back           POST       -                   sign-in  sign-in  on        on    on     on       on
settings_notifications POST -                 sign-in  sign-in  done      done  done   done     done
notifications  GET        -                   sign-in  sign-in  page      page  page   page     page
notifications_read POST   -                   sign-in  sign-in  on        done  on     on       on
notification   POST       line                sign-in  sign-in  404       done  404    404      404
new            GET,HEAD   -                   sign-in  sign-in  page      page  page   page     page
new            POST       -                   sign-in  sign-in  done      done  done   400      400
tasks          GET        -                   sign-in  sign-in  page      page  page   page     page
task           GET        running             sign-in  sign-in  page      page  page   404      404
task_live      GET        running             sign-in  sign-in  page      page  page   404      404
task_earlier   GET        running             sign-in  sign-in  page      page  page   404      404
trace          GET        running             sign-in  sign-in  page      page  page   404      404
trace_live     GET        running             sign-in  sign-in  page      page  page   404      404
task_stop      POST       running             sign-in  sign-in  done      done  done   404      404
task_pause     POST       running             sign-in  sign-in  done      done  done   404      404
task_resume    POST       paused              sign-in  sign-in  done      done  done   404      404
task_priority  POST       running             sign-in  sign-in  on        done  done   404      404
task_note      POST       running             sign-in  sign-in  done      done  done   404      404
escalation     POST       stopped,escalation  sign-in  sign-in  done      done  done   404      404
step_again     POST       running,step        sign-in  sign-in  done      done  done   404      404
operations     GET        -                   sign-in  sign-in  403       page  page   page     page
hold           POST       -                   sign-in  sign-in  403       done  done   on       done
lift           POST       hold                sign-in  sign-in  done      done  done   404      404
inbox          GET        -                   sign-in  sign-in  page      page  page   page     page
inbox_live     GET        -                   sign-in  sign-in  page      page  page   page     page
save_view      POST       -                   sign-in  sign-in  done      done  done   done     done
rename_view    POST       view                sign-in  sign-in  404       done  404    404      404
delete_view    POST       view                sign-in  sign-in  404       done  404    404      404
selected       GET        -                   sign-in  sign-in  404       404   404    404      404
selected_done  GET        -                   sign-in  sign-in  on        on    on     on       on
approve_selected POST     -                   sign-in  sign-in  on        done  done   404      404
snooze_selected POST      -                   sign-in  sign-in  on        done  done   404      404
undo_selected  POST       -                   sign-in  sign-in  on        done  done   404      404
snooze         POST       reviewed_id         sign-in  sign-in  on        done  done   404      404
assign         POST       reviewed_id         sign-in  sign-in  on        done  done   404      404
release        POST       held_id             sign-in  sign-in  on        done  on     404      404
wake           POST       snoozed_id          sign-in  sign-in  on        done  on     404      404
call           GET        call                sign-in  sign-in  page      page  page   404      404
call_live      GET        call                sign-in  sign-in  page      page  page   404      404
call_decide    POST       call                sign-in  sign-in  403       done  done   404      404
call_undo      POST       allowed_call        sign-in  sign-in  403       done  done   404      404
call_snooze    POST       call                sign-in  sign-in  on        done  done   404      404
call_wake      POST       put_off_call        sign-in  sign-in  on        done  on     404      404
call_assign    POST       call                sign-in  sign-in  on        done  done   404      404
call_release   POST       held_call           sign-in  sign-in  on        done  on     404      404
policy         GET        project_id          sign-in  sign-in  page      page  page   404      404
standing_grants GET       -                   sign-in  sign-in  page      page  page   page     page
standing_grant GET        standing            sign-in  sign-in  page      page  page   404      404
revoke_standing_grant POST standing           sign-in  sign-in  on        done  done   404      404
review         GET        reviewed,1          sign-in  sign-in  page      page  page   404      404
review_live    GET        reviewed,1          sign-in  sign-in  page      page  page   404      404
main_moved     GET        reviewed,1          sign-in  sign-in  page      page  page   404      404
viewed         POST       reviewed,1          sign-in  sign-in  done      done  done   404      404
around         GET        reviewed,1          sign-in  sign-in  400       400   400    404      404
edit           GET,HEAD   reviewed,1          sign-in  sign-in  403       400   400    404      404
edit           POST       reviewed,1          sign-in  sign-in  403       503   503    404      404
decide         POST       reviewed,1          sign-in  sign-in  403       done  done   404      404
undo           POST       approved,1          sign-in  sign-in  on        done  done   404      404
revert         POST       approved,1          sign-in  sign-in  on        on    on     404      404
again          POST       expired,1           sign-in  sign-in  done      done  done   404      404
memory         GET        -                   sign-in  sign-in  page      page  page   page     page
memory_act     POST       lesson,keep         sign-in  sign-in  on        done  done   404      404
"""

# Streams are answered before Django (see LIVE), which says so. Tokens never decide: 403.
API = """
route            method     of                     nobody token requester lead second outsider admin
tasks            GET,HEAD   -                      401    page  page      page page   page     page
tasks            POST       -                      401    done  done      done done   404      404
task             GET,HEAD   running_id             401    page  page      page page   404      404
task_events      GET,HEAD   running_id             401    page  page      page page   404      404
task_stream      GET,HEAD   running_id             401    503   503       503  503    404      404
task_cancel      POST       running_id             401    done  done      done done   404      404
task_pause       POST       running_id             401    done  done      done done   404      404
task_resume      POST       paused_id              401    done  done      done done   404      404
task_notes       POST       running_id             401    done  done      done done   404      404
task_escalation  POST       stopped_id,escalation  401    done  done      done done   404      404
step_retry       POST       running_id,step        401    done  done      done done   404      404
approvals        GET,HEAD   -                      401    page  page      page page   page     page
approval         GET,HEAD   reviewed_id            401    page  page      page page   404      404
signatures       POST       reviewed_id            401    403   403       done done   404      404
viewed           POST       reviewed_id            401    403   done      done done   404      404
edits            POST       reviewed_id            401    403   403       503  503    404      404
snooze           POST       reviewed_id            401    403   403       done done   404      404
snooze           DELETE     snoozed_id             401    403   page      done page   404      404
bulk             POST       -                      401    403   403       done done   404      404
assignment       POST       reviewed_id            401    403   403       done done   404      404
assignment       DELETE     held_id                401    403   page      done page   404      404
undo             POST       approved_id            401    403   403       done done   404      404
revert           POST       approved_id            401    403   409       409  409    404      404
propose_again    POST       expired_id             401    403   done      done done   404      404
absence          GET,HEAD   -                      401    page  page      page page   page     page
absence          PUT        -                      401    403   done      done done   done     done
absence          DELETE     -                      401    403   page      page page   page     page
policy           GET,HEAD   acme                   401    page  page      page page   404      404
policy           PUT        acme                   401    403   403       403  403    404      404
calls            GET,HEAD   -                      401    page  page      page page   page     page
call             GET,HEAD   call                   401    page  page      page page   404      404
call_decision    POST       call                   401    403   403       done done   404      404
call_undo        POST       allowed_call           401    403   403       done done   404      404
call_snooze      POST       call                   401    403   403       done done   404      404
call_snooze      DELETE     put_off_call           401    403   page      done page   404      404
call_assignment  POST       call                   401    403   403       done done   404      404
call_assignment  DELETE     held_call              401    403   page      done page   404      404
standing_grants  GET,HEAD   -                      401    page  page      page page   page     page
standing_grant   GET,HEAD   standing               401    page  page      page page   404      404
revoke_standing_grant POST  standing               401    403   403       done done   404      404
views            GET,HEAD   -                      401    page  page      page page   page     page
views            POST       -                      401    403   done      done done   done     done
view             PATCH      view                   401    403   404       done 404    404      404
view             DELETE     view                   401    403   404       done 404    404      404
holds            GET,HEAD   -                      401    page  page      page page   page     page
holds            POST       -                      401    done  403       done done   404      done
hold             GET,HEAD   hold                   401    page  page      page page   404      404
hold             DELETE     hold                   401    done  done      done done   404      404
notifications    GET,HEAD   -                      401    page  page      page page   page     page
notifications_read POST     -                      401    done  page      done page   page     page
notification_preferences GET,HEAD -                401    page  page      page page   page     page
notification_preferences PUT -                     401    done  done      done done   done     done
memories         GET,HEAD   -                      401    page  page      page page   page     page
memory_search    POST       -                      401    page  page      page page   page     page
memory           GET,HEAD   lesson                 401    page  page      page page   404      404
memory           PATCH      lesson                 401    403   403       done done   404      404
memory           DELETE     lesson                 401    done  403       done done   404      404
"""

# Everybody's: they name no data. `either`: whether workers run beside the tests is not ours to say.
OPEN = """
route            method     of      nobody   token    requester lead     second   outsider admin
healthz          GET,HEAD   -       page     page     page      page     page     page     page
readyz           GET,HEAD   -       either   either   either    either   either   either   either
metrics          GET,HEAD   -       page     page     page      page     page     page     page
console:sign_in  GET,HEAD   -       page     page     on        on       on       on       on
console:sign_in  POST       -       400      400      on        on       on       on       on
console:sign_out POST       -       sign-in  sign-in  done      done     done     done     done
api:schema       GET,HEAD   -       page     page     page      page     page     page     page
api:schema       OPTIONS    -       page     page     page      page     page     page     page
api:docs         GET,HEAD   -       page     page     page      page     page     page     page
"""

# For the admin alone; everybody else is sent to sign in, whatever the method. Deleting is refused
# but for a profile no agent uses. What is only looked at cannot be added or changed.
ADMIN = """
model          add   change  save  delete
agent          page  page    page  403
agentversion   page  page    403   403
apitoken       page  page    403   403
approval       403   page    403   403
attempt        403   page    403   403
auditentry     403   page    403   403
delivery       403   page    403   403
callapproval   403   page    403   403
callsignature  403   page    403   403
effect         403   page    403   403
escalation     403   page    403   403
event          403   page    403   403
hold           403   page    403   403
memory         403   page    403   403
modelcall      403   page    403   403
modelprofile   page  page    page  page
policy         page  page    page  403
project        page  page    page  403
proposal       403   page    403   403
signature      403   page    403   403
standinggrant  403   page    403   403
step           403   page    403   403
task           403   page    403   403
toolcall       403   page    403   403
toolserver     page  page    page  403
user           page  page    page  403
webhook        page  page    page  page
"""

# The other pages of the admin, at these addresses.
ADMIN_PAGES = """
route                      address                              GET   POST
index                      /admin/                              page  page
logout                     /admin/logout/                       405   done
password_change            /admin/password_change/              page  page
password_change_done       /admin/password_change/done/         page  405
autocomplete               /admin/autocomplete/                 403   405
jsi18n                     /admin/jsi18n/                       page  405
view_on_site               /admin/r/1/1/                        404   404
auth_user_password_change  /admin/projects/user/{person}/password/  page  page
agents_agentversion_draft  /admin/agents/agentversion/{version}/draft/  405  done
app_list                   /admin/agents/                       page  page
invariants                 /admin/invariants/                   page  page
(?P<url>.*)$               /admin/nothing                       404   404
"""

# What comes before Django: the close code of a socket (1000: all was sent), the status of a stream.
LIVE = """
route            nobody  disabled  token  requester  lead  second  outsider  admin
/ws/tasks/{id}   4401    4401      1000   1000       1000  1000    4404      4404
/ws/activity     4401    4401      open   open       open  open    open      open
/ws/nothing      4401    4401      4404   4404       4404  4404    4404      4404
stream           401     401       200    200        200   200     404       404
"""

_ACTS = ("task_stop", "task_pause", "task_resume", "escalation", "step_again", "lift", "again")
_ACTS_OF_API = ("task_cancel", "task_pause", "task_resume", "task_escalation", "step_retry")
# The requester or a lead may.
OF_MEMBER = {(f"console:{name}", "POST"): "on" for name in _ACTS}
OF_MEMBER |= {(f"api:{name}", "POST"): "403" for name in (*_ACTS_OF_API, "revert", "propose_again")}
OF_MEMBER[("api:hold", "DELETE")] = "403"

UNLISTED = {
    "console": dict.fromkeys(_ALL, "405") | {"nobody": "sign-in", "token": "sign-in"},
    "api": dict.fromkeys(_ALL, "405") | {"nobody": "401"},
    "open": dict.fromkeys(_ALL, "405"),
}
# The API describes an endpoint to whom has signed in; a token has no scope for that.
DESCRIBED = dict.fromkeys(_ALL, "page") | {"nobody": "401", "token": "403"}

_SEAL = {"digest": "{reviewed_digest}", "nonce": "{reviewed_nonce}"}
_CALL = {"digest": "{call_digest}", "nonce": "{call_nonce}", "confirmation": "{call_label}"}
_EASY = {"id": "{easy_id}", "digest": "{easy_digest}", "nonce": "{easy_nonce}"}
FORMS = {
    "console:sign_in": {"username": "lead", "password": "wrong"},
    "console:new": {"request": "Fix the billing bug", "project": "acme"},
    "console:theme": {"theme": "dark"},
    "console:single_keys": {"single_keys": "off"},
    "console:settings_notifications": {"everywhere-asked": "bell"},
    "console:task_note": {"text": "Mind the refunds."},
    "console:task_priority": {"priority": "1"},
    "console:escalation": {"choice": "stop"},
    "console:step_again": {"note": "Round half to even."},
    "console:leave": {"first": "{today}", "last": "{today}"},
    "console:hold": {"aim": "project:acme"},
    "console:approve_selected": {"item": "{easy_id} {easy_digest} {easy_nonce}"},
    "console:snooze_selected": {"pick": "{reviewed_id}", "for": "hour"},
    "console:undo_selected": {"pick": "{approved_id}"},
    "console:save_view": {"name": "Low", "q": "risk:low", "sort": "due"},
    "console:rename_view": {"name": "Mine"},
    "console:snooze": {"for": "hour"},
    "console:call_snooze": {"for": "hour"},
    "console:viewed": {"path": "{file}", "viewed": "on"},
    # Its commit is made up, so git has no file of it; `test_editing_pages` saves edits.
    "console:edit": {"digest": "{reviewed_digest}", "path": "{file}", "text": "Round once."},
    "console:decide": {**_SEAL, "verdict": "reject", "note": "Not like this."},
    "console:call_decide": {**_CALL, "verdict": "refuse", "note": "Not this one."},
    "api:tasks": {"project": "acme", "request": "Fix the billing bug"},
    "api:task_notes": {"text": "Mind the refunds."},
    "api:task_escalation": {"choice": "stop"},
    "api:step_retry": {"note": "Round half to even."},
    "api:signatures": {**_SEAL, "verdict": "reject", "note": "Not like this."},
    "api:call_decision": {**_CALL, "verdict": "allow"},
    "api:bulk": {"items": [_EASY]},
    "api:views": {"name": "Low", "query": "risk:low"},
    "api:view": {"name": "Mine"},
    "api:viewed": {"path": "{file}", "viewed": True},
    "api:edits": {"digest": "{reviewed_digest}", "path": "{file}", "text": "Round once."},
    "api:snooze": {"until": "{soon}"},
    "api:call_snooze": {"until": "{soon}"},
    "api:absence": {"begins_at": "{soon}", "ends_at": "{later}"},
    "api:holds": {"scope": "project", "project": "acme"},
    "api:notifications_read": {"all": True},
    "api:notification_preferences": {"quiet": None, "choices": []},
    "api:memory_search": {"query": "money"},
    "api:memory": {"content": "Round half up."},
}


@dataclass(frozen=True)
class Line:
    """One declared route and method."""

    area: str
    route: str
    method: str
    of: str
    answers: dict[str, str]


def lines() -> list[Line]:
    """Return what is declared for the console, the API and what is open to all."""
    spaces = {"console": (CONSOLE, "console:"), "api": (API, "api:"), "open": (OPEN, "")}
    return [
        Line(area, space + row["route"], method, row["of"], _answers(space, method, row))
        for area, (table, space) in spaces.items()
        for row in rows(table)
        for method in row["method"].split(",")
    ]


def _answers(space: str, method: str, row: dict[str, str]) -> dict[str, str]:
    of_member = OF_MEMBER.get((space + row["route"], method), row["requester"])
    return {key: row[key] for key in COLUMNS} | {"member": of_member}


def rows(table: str) -> list[dict[str, str]]:
    """Return the lines of a table by the words of its first one."""
    head, *rest = (line.split() for line in table.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in rest]
