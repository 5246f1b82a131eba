-- Fills an installation at the size of years. `bench.tasks` says how many tasks; all else follows.
-- Parts are divided by "-- part: NAME", that of calls has a file of its own; _large.py says in which
-- order they run, and beside which.

-- part: people
INSERT INTO projects_user (id, password, is_superuser, username, first_name, last_name, email,
    is_staff, is_active, date_joined, theme, single_keys)
SELECT uuidv7(), '!', false, 'person-' || n,
    (ARRAY['Mira','Dana','Ravi','Ines','Tom','Lena','Ola','Sven','Aiko','Femi'])[n % 10 + 1],
    (ARRAY['Ode','Kim','Singh','Costa','Berg','Moreau','Nowak','Lind','Mori','Ade'])[n / 10 % 10 + 1],
    'person-' || n || '@example.org', false, true, now() - interval '200 days', '', true
FROM generate_series(1, 200) n;
INSERT INTO projects_project (id, slug, name, repository, main_branch, checks_command,
    allow_rlimits_only, single_person, memory_enabled, bundled, limits, created_at)
SELECT uuidv7(), 'project-' || n,
    (ARRAY['acme','orion','delta','harbour'])[n % 4 + 1] || '/' ||
    (ARRAY['billing','ledger','identity','search','mobile','reports','gateway','docs','pricing',
           'shipping'])[n % 10 + 1] || CASE WHEN n < 10 THEN '' ELSE '-' || n / 10 + 1 END,
    '/srv/git/project-' || n || '.git', 'main', 'python -m pytest -q', false, false, true, false,
    '{}', now() - interval '200 days'
FROM generate_series(0, 39) n;
-- Who asks in a project: slots 1 to 15; slot 0 leads it and asks for nothing there.
-- person-1 leads seven projects, the largest and a small one among them; person-2 asks in four.
CREATE UNLOGGED TABLE bench_pool AS
SELECT project.id AS project_id, n, slot, person.id AS user_id
FROM generate_series(0, 39) n CROSS JOIN generate_series(0, 15) slot
JOIN projects_project project ON project.slug = 'project-' || n
JOIN projects_user person ON person.username = 'person-' || CASE
    WHEN slot = 0 AND n IN (0, 1, 3, 7, 15, 31, 39) THEN 1
    WHEN slot = 0 THEN 3 + n % 8
    WHEN slot = 1 AND n IN (0, 2, 5, 38) THEN 2
    WHEN slot = 2 AND n IN (4, 6) THEN 1
    ELSE 11 + (n * 5 + slot) % 190 END;
INSERT INTO projects_membership (user_id, project_id, role, created_at)
SELECT user_id, project_id, CASE WHEN min(slot) = 0 THEN 'lead' ELSE 'requester' END, now()
FROM bench_pool GROUP BY user_id, project_id;
-- And who leads another one: two may decide.
INSERT INTO projects_membership (user_id, project_id, role, created_at)
SELECT person.id, project_id, 'lead', now() FROM bench_pool
JOIN projects_user person ON person.username = 'person-' || 3 + (n + 4) % 8 WHERE slot = 0;
CREATE UNLOGGED TABLE bench_lead AS
SELECT project_id, array_agg(user_id ORDER BY user_id) AS two
FROM projects_membership WHERE role = 'lead' GROUP BY project_id;
INSERT INTO approvals_policy (id, project_id, version, active, signatures_needed, undo_seconds,
    expires_hours, money_paths, protected_paths, created_at)
SELECT uuidv7(), id, 1, true, 1, 10, 2160, '{}', '{}', now() FROM projects_project
WHERE slug LIKE 'project-%';

-- part: tasks
-- The newest half is full of what waits; the newest twentieth has what agents are at.
INSERT INTO agents_task (id, number, request, title, context, requested_agents, state,
    state_before_human, reason, round, limits, model, base_commit, idempotency_key, request_digest,
    priority, last_seq, input_tokens, output_tokens, usd, model_calls, tool_calls, created_at,
    started_at, finished_at, project_id, requester_id)
SELECT uuidv7(made.at - now()), i,
    title || '. Keep what is there as it is, and say in the docs what changed.', title,
    '{}', '{}', state, CASE state WHEN 'needs_human' THEN 'working' ELSE '' END,
    CASE state WHEN 'failed' THEN 'A fault in Countersign.' WHEN 'cancelled' THEN 'Not needed.'
        WHEN 'rejected' THEN 'This is not what was asked for.' ELSE '' END,
    CASE WHEN i % 12 = 0 AND state IN ('review', 'done', 'executing', 'rejected') THEN 2 ELSE 1 END,
    jsonb_build_object('seconds', 2700, 'tokens', 600000, 'usd', 5.0, 'rounds', 3, 'steps', 8,
        'usd_set', false),
    CASE i % 3 WHEN 0 THEN 'openai:large' ELSE 'rehearsal' END, '', '', repeat('0', 64), 0, 10,
    i % 40000, i % 9000, (i % 900) / 1000.0, i % 30, i % 60, made.at, made.at + interval '20 s',
    CASE WHEN state IN ('done', 'rejected', 'cancelled', 'failed')
        THEN least(made.at + interval '1 hour', now()) END,
    pool.project_id, pool.user_id
FROM (
    SELECT i, total, h, (power((h % 9973) / 9973.0, 2.2) * 40)::int AS n, 1 + h / 31 % 15 AS slot,
        CASE WHEN i > total / 2 AND i % 10 < 4 THEN 'review'
            WHEN i > total * 0.95 AND i % 10 IN (4, 5, 6) THEN
                (ARRAY['queued', 'planning', 'working', 'working', 'assembling', 'executing'])[h % 6 + 1]
            WHEN i > total / 2 AND i % 100 = 97 THEN 'needs_human'
            WHEN h % 50 < 3 THEN 'rejected' WHEN h % 50 < 7 THEN 'cancelled'
            WHEN h % 50 < 9 THEN 'failed' ELSE 'done' END AS state,
        left((ARRAY['Fix', 'Add', 'Remove', 'Document', 'Speed up', 'Test', 'Rename', 'Explain'])[h % 8 + 1]
            || ' the ' ||
            (ARRAY['rounding of invoice totals', 'retry of failed payments', 'export to CSV',
                'sign-in by magic link', 'search of archived orders', 'nightly ledger check',
                'cache of price lists', 'mail a customer gets after a refund',
                'order of the migration steps', 'timeout of the gateway',
                'page that lists open deliveries'])[h / 8 % 11 + 1]
            || CASE WHEN h % 5 = 0 THEN ' in the ' || (ARRAY['mobile app', 'public API', 'back office',
                'partner portal'])[h / 5 % 4 + 1] ELSE '' END
            || CASE WHEN h % 97 = 0 THEN ', and everything that was reported together with it by '
                'the people of the northern branch since the last release but one' ELSE '' END
            || ' #' || h % 5003, 200) AS title
    FROM (SELECT i, current_setting('bench.tasks')::int AS total,
                 abs(hashint4(i)) AS h
          FROM generate_series(1, current_setting('bench.tasks')::int) i) numbered
) drawn
CROSS JOIN LATERAL (SELECT now() - (total - i) * (interval '180 days' / total)
    - interval '1 hour' AS at) made
JOIN bench_pool pool ON pool.n = least(drawn.n, 39) AND pool.slot = drawn.slot;
SELECT setval('agents_task_number', current_setting('bench.tasks')::bigint + 1);

-- part: events
INSERT INTO agents_event (task_id, seq, kind, step_id, data, at)
SELECT task.id, seq, CASE
        WHEN seq = 10 AND state = 'review' THEN 'approval.requested'
        WHEN seq = 10 AND state = 'needs_human' THEN 'escalation.raised'
        WHEN seq = 10 AND finished_at IS NOT NULL THEN 'task.finished'
        ELSE (ARRAY['task.submitted', 'task.state', 'task.planned', 'task.state', 'message',
            'tool.started', 'tool.finished', 'tool.started', 'tool.finished', 'message'])[seq] END,
    NULL, CASE seq WHEN 1 THEN jsonb_build_object('title', title)
        WHEN 2 THEN '{"from": "queued", "state": "planning"}'
        WHEN 4 THEN '{"from": "planning", "state": "working"}'
        WHEN 10 THEN CASE WHEN finished_at IS NULL THEN '{"from": "working", "state": "review"}'
            ELSE jsonb_build_object('from', 'working', 'state', state) END
        ELSE jsonb_build_object('agent', 'coder', 'tool', 'read_file', 'turn', seq,
            'text', 'Read billing/invoice.py, 48 lines.', 'attempt', 1) END,
    created_at + seq * interval '20 s'
FROM agents_task task CROSS JOIN generate_series(1, 10) seq;

-- part: steps
CREATE UNLOGGED TABLE bench_step AS
SELECT task.id AS task_id, task.project_id, task.state AS of, task.created_at, task.number, part.*,
    CASE WHEN task.finished_at IS NOT NULL OR task.state IN ('review', 'executing') THEN 'done'
        WHEN task.state = 'queued' THEN 'ready'
        WHEN task.state = 'planning' THEN 'leased'
        WHEN task.state = 'assembling' THEN CASE WHEN place = 4 THEN 'leased' ELSE 'done' END
        WHEN place = 1 THEN 'done'
        WHEN place = 2 THEN CASE task.state WHEN 'needs_human' THEN 'waiting_human' ELSE 'leased' END
        ELSE 'waiting' END AS state
FROM agents_task task
JOIN (VALUES (1, 'route', 'route', 'router', 'Plan the work'),
    (2, 'change', 'work', 'coder', 'Make the change'), (3, 'cover', 'work', 'tester', 'Cover it'),
    (4, 'assemble', 'assemble', 'aggregator', 'Make one proposal'))
    AS part(place, key, kind, slug, title)
    ON place = 1 OR task.state NOT IN ('queued', 'planning')
WHERE task.finished_at IS NULL OR task.number > current_setting('bench.tasks')::int * 0.85;
INSERT INTO agents_step (id, round, key, kind, title, instructions, acceptance, files, feedback,
    state, waits, priority, available_at, attempt, lease_owner, lease_until, extra_turns,
    extra_seconds, extra_tokens, base_commit, result_commit, reason, started_at, finished_at,
    created_at, agent_id, version_id, task_id, depth, left_out, project_id)
SELECT uuidv7(made.created_at - now() + place * interval '1 s'), 1, key, made.kind, made.title,
    'Do what the request says; leave the rest.', 'The tests pass.', '[]', '[]', made.state,
    CASE made.state WHEN 'waiting' THEN 1 ELSE 0 END, 0, made.created_at,
    CASE WHEN made.state IN ('waiting', 'ready') THEN 0 ELSE 1 END,
    CASE made.state WHEN 'leased' THEN 'bench-worker' ELSE '' END,
    CASE made.state WHEN 'leased' THEN now() + interval '1 day' END, 0, 0, 0, '', '', '',
    CASE WHEN made.state NOT IN ('waiting', 'ready') THEN made.created_at + interval '30 s' END,
    CASE made.state WHEN 'done' THEN made.created_at + interval '150 s' END,
    made.created_at, agent.id, version.id, made.task_id, 0, false, made.project_id
FROM bench_step made JOIN agents_agent agent ON agent.slug = made.slug
JOIN LATERAL (SELECT id FROM agents_agentversion WHERE agent_id = agent.id
    AND published_at IS NOT NULL ORDER BY number DESC LIMIT 1) version ON true;
INSERT INTO agents_attempt (id, step_id, number, state, worker, model, turns, input_tokens,
    output_tokens, usd, reserved_tokens, reserved_usd, reserved_input_tokens, reserved_input_usd,
    seen_seq, error, started_at, finished_at)
SELECT uuidv7(), id, 1, CASE state WHEN 'leased' THEN 'running' WHEN 'done' THEN 'finished'
        ELSE 'escalated' END, 'bench-worker', '', 2, 900, 120, 0, 0, 0, 0, 0, 0, '', started_at,
    CASE state WHEN 'leased' THEN NULL ELSE coalesce(finished_at, started_at) END
FROM agents_step WHERE attempt = 1
    AND (state <> 'done' OR created_at > now() - interval '6 days');
INSERT INTO agents_modelcall (id, attempt_id, response, model, input_tokens, output_tokens, usd,
    repairs, started_at, finished_at)
SELECT uuidv7(), attempt.id, turn, CASE turn WHEN 0 THEN 'openai:large' ELSE 'openai:small' END, 450,
    60, CASE turn WHEN 0 THEN 0.004 END, 0, started_at + turn * interval '60 s',
    started_at + turn * interval '60 s' + interval '4 s'
FROM agents_attempt attempt CROSS JOIN generate_series(0, 1) turn WHERE state = 'finished';
INSERT INTO agents_escalation (id, task_id, step_id, attempt, rule, detail, evidence, options,
    state, choice, note, raised_at, resolved_at, resolved_by_id)
SELECT uuidv7(task.created_at - now()), task.id, step.id, 1,
    (ARRAY['max_turns', 'budget', 'no_progress', 'blocked'])[task.number % 4 + 1],
    'All 12 turns are used. The edits so far are kept in the workspace.', '{}',
    '{retry_with_note,stop}', CASE WHEN step.state = 'waiting_human' THEN 'open' ELSE 'resolved' END,
    CASE WHEN step.state = 'waiting_human' THEN '' ELSE 'retry_with_note' END, '',
    task.created_at + interval '2 minutes',
    CASE WHEN step.state <> 'waiting_human' THEN task.created_at + interval '1 hour' END,
    CASE WHEN step.state <> 'waiting_human' THEN pool.user_id END
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
JOIN bench_pool pool ON pool.project_id = task.project_id AND pool.slot = 0
WHERE step.state = 'waiting_human' OR step.key = 'change' AND task.number % 40 = 1;

-- part: approvals
CREATE UNLOGGED TABLE bench_approval AS
SELECT task.id AS task_id, task.number, task.title, task.project_id, task.requester_id, task.model,
    task.input_tokens, task.usd, asked.*, uuidv7(asked.at - now()) AS id,
    uuidv7(asked.at - now()) AS proposal_id, lead.user_id AS lead_id, policy.id AS policy_id,
    person.first_name || ' ' || person.last_name AS requester, project.name AS project,
    project.repository, abs(hashint4(number::int)) AS h
FROM agents_task task
CROSS JOIN LATERAL (
    SELECT task.round AS round, task.created_at + interval '20 minutes' AS at, CASE
        WHEN task.state = 'review' AND number % 2000 = 1002 THEN 'expired'
        WHEN task.state = 'review' THEN 'pending' WHEN task.state = 'cancelled' THEN 'withdrawn'
        WHEN task.state = 'rejected' THEN 'rejected' ELSE 'approved' END AS state
    WHERE task.state IN ('review', 'done', 'executing', 'rejected')
        OR task.state = 'cancelled' AND number % 3 = 0
    UNION ALL SELECT 1, task.created_at + interval '10 minutes',
        CASE WHEN number % 24 = 0 THEN 'stale' ELSE 'changes_requested' END
    WHERE task.round = 2) asked
JOIN bench_pool lead ON lead.project_id = task.project_id AND lead.slot = 0
JOIN approvals_policy policy ON policy.project_id = task.project_id
JOIN projects_user person ON person.id = task.requester_id
JOIN projects_project project ON project.id = task.project_id;
INSERT INTO agents_proposal (id, task_id, round, version, kind, title, summary, report, base_commit,
    head_commit, tree, added, removed, checks, warnings, model, created_at)
SELECT proposal_id, task_id, round, 1, 'change', title,
    'The change does what was asked for. The tests pass and the page in the docs says so now.', '',
    repeat('a', 40), repeat('b', 40), repeat('c', 40), h % 300, h % 90,
    '{"ran": true, "exit_code": 0, "passed": 14, "failed": 0, "sandbox": "bubblewrap"}', '[]',
    model, at FROM bench_approval;
-- One seal in eight holds a diff that fills pages of its own, as most of a real installation do.
INSERT INTO approvals_approval (id, single_person, state, risk, snapshot, digest, nonce,
    requested_at, expires_at, decided_at, reason, decided_by_id, project_id, proposal_id,
    requester_id, task_id, policy_id, replaced, main_moved)
SELECT id, false, state, risk, jsonb_build_object('version', 1,
        'task', jsonb_build_object('id', task_id, 'number', number, 'label', 'T-' || number,
            'title', title, 'request', title),
        'requester', jsonb_build_object('id', requester_id, 'name', requester), 'round', round,
        'proposal', jsonb_build_object('id', proposal_id, 'version', 1, 'kind', 'change',
            'title', title, 'summary', 'The change does what was asked for.', 'report', '',
            'model', model),
        'files', CASE WHEN h % 8 = 0 THEN jsonb_build_array(jsonb_build_object('id', id,
            'path', 'billing/invoice.py', 'old_path', 'billing/invoice.py', 'status', 'modified',
            'binary', false, 'added', h % 300, 'removed', h % 90, 'old_mode', '100644',
            'new_mode', '100644', 'old_blob', '', 'new_blob', '', 'hunks', jsonb_build_array(
                jsonb_build_object('id', id, 'old_start', 1, 'old_lines', 120, 'new_start', 1,
                    'new_lines', 120, 'section', '', 'author', NULL,
                    'text', repeat(E' return total(' || md5(number::text) || E')\n', 120)))))
            ELSE '[]' END,
        'claims', '[{"text": "All tests pass", "agent": "coder", "verdict": "proven",
            "evidence": "14 pass, our run"}]'::jsonb,
        'checks', '{"ran": true, "exit_code": 0, "passed": 14, "failed": 0,
            "sandbox": "bubblewrap", "command": "python -m pytest -q"}'::jsonb,
        'warnings', '[]'::jsonb,
        'policy', jsonb_build_object('id', policy_id, 'version', 1, 'signatures_needed', 1,
            'undo_seconds', 10),
        'agents', '[{"slug": "coder", "name": "Code agent", "colour": "agent-2", "icon": "code"}]'::jsonb
            || CASE WHEN h % 40 = 0 THEN '[{"slug": "tester", "name": "Test agent",
                "colour": "agent-3", "icon": "flask-conical"}]'::jsonb ELSE '[]' END
            || CASE WHEN h % 1999 = 0 THEN '[{"slug": "tech-writer", "name": "Docs agent",
                "colour": "agent-4", "icon": "file-text"}]'::jsonb ELSE '[]' END,
        'memories', '[]'::jsonb, 'single_person', false, 'nonce', nonce,
        'usage', jsonb_build_object('seconds', 90, 'usd', usd::text, 'tokens', input_tokens,
            'turns', 4),
        'expires_at', expires_at, 'risk', jsonb_build_object('level', risk, 'reasons', '[]'::jsonb),
        'effects', jsonb_build_array(jsonb_build_object('kind', 'git.merge', 'repository', repository,
            'project', project, 'branch', 'main', 'base', repeat('a', 40), 'head', repeat('b', 40),
            'tree', repeat('c', 40), 'files', 1, 'added', h % 300, 'removed', h % 90,
            'reversible', true))),
    md5(nonce) || md5(nonce), nonce, at, expires_at, decided_at,
    CASE state WHEN 'rejected' THEN 'This is not what was asked for.' ELSE '' END,
    CASE WHEN state IN ('approved', 'changes_requested', 'rejected') THEN lead_id END,
    project_id, proposal_id, requester_id, task_id, policy_id, state = 'stale', state = 'stale'
FROM bench_approval CROSS JOIN LATERAL (
    SELECT (ARRAY['low', 'low', 'low', 'medium', 'high'])[h % 5 + 1] AS risk,
        md5(number || ' ' || round) || md5(round || ' ' || number) AS nonce,
        CASE WHEN state = 'pending' AND number % 5000 <> 1 THEN now() + interval '3 hours'
                + power((h % 10007) / 10007.0, 3) * interval '80 days' + number * interval '1 ms'
            WHEN state = 'pending' THEN now() - interval '1 hour'
            ELSE at + interval '90 days' END AS expires_at,
        CASE WHEN state <> 'pending' THEN least(at + (h % 2000) * interval '1 minute', now())
            END AS decided_at) more;
-- As a trigger does, which is off while this is filled.
INSERT INTO approvals_listed (approval_id, under, project_id, risk_rank, expires_at, decided_at,
    cost, requester, state)
SELECT approval.id, named.under, approval.project_id, approval.risk_rank, approval.expires_at,
    approval.decided_at, approval.cost, approval.requester_id, approval.state
FROM approvals_approval approval CROSS JOIN LATERAL (
    SELECT 'requester:' || approval.requester_id AS under
    UNION SELECT 'agent:' || (worked ->> 'slug')
    FROM jsonb_array_elements(approval.outline -> 'agents') worked) named;
INSERT INTO approvals_snooze (id, until, at, main_moves, approval_id, person_id)
SELECT uuidv7(), now() + interval '1 day', now(), FALSE, approval.id, member.user_id
FROM (SELECT id, project_id FROM approvals_approval WHERE state = 'pending'
    AND hashtext(nonce) % 5000 = 0) approval
JOIN projects_membership member USING (project_id) WHERE member.role = 'lead';
-- One in fifty is seen to by one of the two, for the first half of its time alone.
INSERT INTO approvals_assignment (id, approval_id, project_id, holder_id, by_id, at, alone_until)
SELECT uuidv7(), approval.id, project_id, two[h / 50 % 2 + 1], two[h / 50 % 2 + 1], requested_at,
    requested_at + (expires_at - requested_at) / 2
FROM approvals_approval approval JOIN bench_lead USING (project_id)
CROSS JOIN LATERAL (SELECT abs(hashtext(nonce)) AS h) facts WHERE state = 'pending' AND h % 50 = 7;
INSERT INTO approvals_collision (id, one_id, other_id, paths)
SELECT uuidv7(), least(id, next), greatest(id, next), '{billing/invoice.py}'
FROM (SELECT id, lead(id) OVER (PARTITION BY project_id ORDER BY expires_at, id) AS next
    FROM approvals_approval WHERE state = 'pending') waiting WHERE next IS NOT NULL
AND hashtext(id::text) % 5 = 0;
INSERT INTO approvals_signature (id, single_person, verdict, digest, nonce, note, at, approval_id,
    requester_id, signer_id)
SELECT uuidv7(decided_at - now()), false, CASE state WHEN 'approved' THEN 'approve'
        WHEN 'rejected' THEN 'reject' ELSE 'request_changes' END, digest, nonce, '', decided_at, id,
    requester_id, decided_by_id
FROM approvals_approval WHERE decided_by_id IS NOT NULL;
INSERT INTO approvals_effect (id, position, kind, arguments, state, not_before, worker, started_at,
    finished_at, result, error, approval_id)
SELECT uuidv7(decided_at - now()), 0, 'git.merge', approval.snapshot -> 'effects' -> 0,
    CASE task.state WHEN 'executing' THEN 'planned' ELSE 'done' END,
    CASE task.state WHEN 'executing' THEN now() + interval '1 day' ELSE decided_at END, '',
    CASE task.state WHEN 'executing' THEN NULL ELSE decided_at END,
    CASE task.state WHEN 'executing' THEN NULL ELSE decided_at END,
    CASE task.state WHEN 'executing' THEN '{}'::jsonb
        ELSE jsonb_build_object('commit', md5(approval.id::text) || '00000000') END, '', approval.id
FROM approvals_approval approval JOIN agents_task task ON task.id = approval.task_id
WHERE approval.state = 'approved' AND task.state IN ('done', 'executing');

-- part: rest
INSERT INTO memory_memory (id, agent_slug, kind, content, text_digest, subject, tags, paths, state,
    source, source_task, source_label, evidence, importance, pinned, recorded_at, valid_from,
    approved_by_id, approved_at, project_id, used_count, helped_count, hurt_count)
SELECT uuidv7(task.created_at - now()), CASE nth % 3 WHEN 0 THEN 'coder' ELSE '' END, 'lesson',
    title || ': do it once, at the end, and say so in the docs.', md5(nth::text) || md5(nth::text),
    'billing/invoice.py', '{}', '{}', CASE WHEN nth % 10 < 2 THEN 'proposed'
        WHEN nth % 10 = 2 THEN 'retired' WHEN nth % 10 = 3 THEN 'superseded' ELSE 'active' END,
    'review_changes', task.id, 'your request for changes on T-' || number, '[]', 3, false,
    task.created_at, task.created_at, CASE WHEN nth % 10 > 1 THEN lead.user_id END,
    CASE WHEN nth % 10 > 1 THEN task.created_at END, task.project_id, nth % 40, 0, 0
FROM generate_series(1, current_setting('bench.tasks')::int / 20) nth
JOIN agents_task task ON task.number = nth * 20
JOIN bench_pool lead ON lead.project_id = task.project_id AND lead.slot = 0;
INSERT INTO agents_hold (id, scope, task_id, project_id, reason, placed_at, lifted_at, placed_by_id,
    lifted_by_id)
SELECT uuidv7(task.created_at - now()), CASE WHEN nth % 50 = 0 THEN 'project' ELSE 'task' END,
    CASE WHEN nth % 50 <> 0 THEN task.id END, CASE WHEN nth % 50 = 0 THEN task.project_id END,
    'Wait for the release.', task.created_at + interval '1 minute',
    CASE WHEN over THEN task.created_at + interval '30 minutes' END, lead.user_id,
    CASE WHEN over THEN lead.user_id END
FROM generate_series(1, current_setting('bench.tasks')::int / 200) nth
JOIN agents_task task ON task.number = nth * 200 - 5
JOIN bench_pool lead ON lead.project_id = task.project_id AND lead.slot = 0
CROSS JOIN LATERAL (SELECT nth % 50 = 0 OR task.finished_at IS NOT NULL AS over) standing;
INSERT INTO projects_auditentry (at, actor_id, actor_label, project_id, action, object_type,
    object_id, detail, previous_digest, digest)
SELECT now() - (total - nth) * (interval '180 days' / total), lead.user_id, 'person-1',
    lead.project_id, (ARRAY['approval.approved', 'approval.rejected', 'hold.placed'])[nth % 3 + 1],
    'approval', nth::text, '{"task": "T-1"}', encode(sha256((nth - 1)::text::bytea), 'hex'),
    encode(sha256(nth::text::bytea), 'hex')
FROM (SELECT nth, current_setting('bench.tasks')::int / 5 AS total
      FROM generate_series(1, current_setting('bench.tasks')::int / 5) nth) numbered
JOIN bench_pool lead ON lead.n = numbered.nth % 40 AND lead.slot = 0
ORDER BY numbered.nth; -- the row with the last id is the end of the chain: what is entered next goes on from it
-- Each project has two webhooks; of every second task they were told, and its lead by the bell.
INSERT INTO notices_webhook (id, project_id, name, style, host, address, secret, kinds, enabled, created_at)
SELECT uuidv7(), project_id, 'Channel ' || nth, 'standard', 'hooks.example.org', '', 'locked',
    '{asked,outcome}', true, now() FROM bench_pool CROSS JOIN generate_series(1, 2) nth WHERE slot = 0;
INSERT INTO notices_notice (id, project_id, task_id, event, type, kind, facts, at)
SELECT uuidv7(created_at + interval '1 hour' - now()), project_id, id, number, 'task.finished', 'outcome',
    '{"state": "done"}', created_at + interval '1 hour'
FROM agents_task WHERE number % 2 = 0 AND created_at < now() - interval '1 hour';
INSERT INTO notices_notification (id, notice_id, person_id, project_id, read_at)
SELECT uuidv7(at - now()), notice.id, lead.user_id, notice.project_id,
    CASE WHEN event % 20 <> 0 THEN at + interval '1 hour' END
FROM notices_notice notice JOIN bench_pool lead ON lead.project_id = notice.project_id AND slot = 0;
INSERT INTO notices_delivery (id, notice_id, webhook_id, state, attempts, next_at, status, error,
    created_at, finished_at)
SELECT uuidv7(at - now()), notice.id, hook.id, 'sent', 1, at, 200, '', at, at + interval '1 second'
FROM notices_notice notice JOIN notices_webhook hook ON hook.project_id = notice.project_id;

-- part: clean
DROP TABLE bench_pool, bench_lead, bench_step, bench_approval;
