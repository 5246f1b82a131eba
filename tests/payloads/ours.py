"""What templates show unmarked because it is ours: numbers, keys, addresses, and words of the house.

Everything else may hold what agents, tools, repositories, models and people wrote, and is shown by
`reveal` or, where no element can stand, by `plain`. Who adds an output marks it or declares it here.
"""

from __future__ import annotations

# Filters that return numbers, dates, lengths of time, hashes and addresses, whatever they are given.
MADE = frozenset(
    {
        *("duration", "count_of", "usd", "amount", "clock", "date", "time", "timeuntil", "length"),
        *("short", "short_digest", "pluralize", "floatformat", "urlencode", "ticket", "yesno"),
        *("add", "sandbox_word"),
    }
)

# Last names of what is a number, a key, a hash or a word from our own list, wherever it stands.
NAMES = frozenset(
    {
        *("pk", "id", "key", "slug", "seq", "url", "digest", "nonce", "anchor", "kept_as", "icon"),
        *("tone", "colour", "css", "state", "risk", "level", "kind", "verdict"),
        *("number", "round", "version", "position", "count", "added", "removed", "retries"),
        *("input_tokens", "output_tokens", "total", "place", "percent", "x", "width", "counter"),
    }
)

# Whole expressions. Numbers:
NUMBERS = frozenset(
    {
        *("approvals_so_far", "checks.exit_code", "contradicted", "decided_today", "done_steps"),
        *("file.new_count", "files_count", "files_left", "files_viewed", "hidden", "hidden_count"),
        *("limits.rounds", "listed.after", "listed.before", "meter.limit", "meter.value"),
        *("most.arguments", "most.note", "other_warnings", "proven", "reminder.share"),
        *("peek.approvals_so_far", "peek.required.signatures", "required.signatures"),
        *("peek.sealed.policy.undo_seconds", "sealed.policy.undo_seconds", "undo_seconds"),
        *("required.undo_seconds", "peek.required.undo_seconds"),
        *("required.reminders.extend_hours", "row.cost", "rows_read"),
        *("row.siblings", "row.since", "row.time", "row.tokens", "row.turn", "shell.inbox"),
        *("shell.inbox_word", "shell.tasks_word", "shell.unread_word", "shown.next", "shown_round"),
        *("sealed.policy.signatures_needed", "span.errors", "start", "tabs.0.3", "task.last_seq"),
        *("text.length", "took", "verified", "warning.line", "with_agents_word", "edge.path"),
        *("said.comment.side", "earlier", "value", "target.value", "grant.hits", "grant.max_hits"),
        *("hours", "most_uses", "remember.max_pattern", "remember.terms.max_hits", "remember.span"),
        *("first", "last", "at", "next_round", "most_rounds"),
        *("kind.value", "asked.questions_count", "asked.again_count", "pace.quick"),
        *("aside.calls_count", "aside.signed_count", "row.agreed", "row.needed", "row.task_number"),
    }
)

# Addresses, percent-encoded where they name what others wrote, and hashes:
ADDRESSES = frozenset(
    {
        'hunk_id|urlencode:""',
        *("address", "chip.address", "close", "detail.version_url", "first_new", "kept", "marks"),
        *("links.all_errors", "links.clear", "links.errors", "links.open", "page_address", "whole"),
        *(
            "price_url",
            "request.GET.urlencode",
            "row.without",
            "row.href",
            "said.where",
            "to",
            "view",
            "tab",
        ),
        *("warning.target", "name", "commit", "effect.base", "merged", "zone"),
        *("shown", "assign_url", "release_url", "whole_at", "back"),
        *("around", "mark"),
        *("favicon_href", "script_url", "swagger_ui_bundle", "swagger_ui_css"),
        *("swagger_ui_standalone", "change_url"),
        *('sealed.call.definition|slice:":12"', 'grant.pin.definition|slice:":12"'),
    }
)

# Words of the house:
WORDS = frozenset(
    {
        *(
            "base_word",
            "code",
            "diff_mode",
            "example",
            "file.folded",
            "file.mode",
            "file.status",
            "heading",
        ),
        *(
            "again",
            "gap",
            "kind.label",
            "hunk.header",
            "later",
            "one.header",
            "new_word",
            "offer.words",
        ),
        *(
            "priority_word|lower",
            "role|lower",
            "again",
            "request.user.theme",
            "verb",
            "row.look",
            "row.name",
            "text",
            "title",
        ),
        *(
            "badge.word",
            "each.word",
            "label",
            "row.word",
            "text.word",
            "way.help",
            "way.label",
            "way",
            "words",
            "target",  # literal, where the template is included; so is the next
            "field",
            "word",
        ),
    }
)

# Made of marked pieces before it comes to the template:
MARKED = frozenset({"block.html", "report", "row.bar", "row.html", "summary"})

WHOLE = NUMBERS | ADDRESSES | WORDS | MARKED
