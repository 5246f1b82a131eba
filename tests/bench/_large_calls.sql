-- Calls of tools, and what people did about them.

-- part: calls
-- Of every attempt of a piece of work, three calls of tools outside; those of running ones wait.
INSERT INTO agents_toolcall (id, attempt_id, response, call_id, server, tool, arguments, fingerprint,
    state, result, result_fingerprint, error, summary, sandbox, tree)
SELECT uuidv7(attempt.started_at - now()), attempt.id, 0, 'call-' || turn, 'tickets', 'tickets__file',
    jsonb_build_object('title', 'Round once on the total', 'number', turn), '',
    CASE WHEN attempt.finished_at IS NULL THEN 'asked' ELSE 'done' END, '', '', '', '', '', ''
FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id
CROSS JOIN generate_series(1, 3) turn WHERE step.kind = 'work';
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id,
    single_person, free, state, snapshot, digest, nonce, edited, requested_at, expires_at, decided_at,
    decided_by_id, reason, worker, sent_at, finished_at)
SELECT call.id, step.project_id, step.task_id, step.id, call.id, task.requester_id, false, false,
    CASE WHEN open THEN 'pending' ELSE 'done' END,
    jsonb_build_object('says', 'countersign.call.1', 'call', jsonb_build_object('server', call.server,
            'tool', 'file', 'idempotent', h % 3 = 1, 'target', 'http://127.0.0.1:1/mcp',
            'definition', repeat('d', 64)),
        'arguments', call.arguments::text, 'free', false,
        'tool', jsonb_build_object('offered', call.tool, 'server', 'Tickets', 'read_only', h % 3 = 0,
            'description', 'Files a ticket.', 'schema', '{"type": "object"}'),
        'task', jsonb_build_object('id', task.id, 'label', 'T-' || task.number, 'title', task.title),
        'step', jsonb_build_object('id', step.id, 'key', step.key, 'title', step.title),
        'agent', jsonb_build_object('slug', agent.slug, 'name', agent.name, 'version', 1),
        'ledger', jsonb_build_object('id', call.id, 'call_id', call.call_id, 'response', 0),
        'said', 'The ticket tells what was done.',
        'project', jsonb_build_object('id', project.id, 'name', project.name),
        'policy', jsonb_build_object('id', policy.id, 'version', 1,
            'signatures_needed', CASE WHEN h % 50 = 0 THEN 2 ELSE 1 END),
        'requester', jsonb_build_object('id', person.id, 'name', person.username),
        'single_person', false, 'nonce', call.id, 'expires_at', now() + h % 4000 * interval '1 minute'),
    repeat('e', 64), call.id, '', attempt.started_at,
    CASE WHEN open THEN now() + h % 4000 * interval '1 minute' + interval '3 hours'
        ELSE attempt.started_at + interval '1 day' END,
    CASE WHEN NOT open THEN attempt.finished_at END, CASE WHEN NOT open THEN lead.user_id END, '',
    '', CASE WHEN NOT open THEN attempt.finished_at END, CASE WHEN NOT open THEN attempt.finished_at END
FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id
JOIN agents_step step ON step.id = attempt.step_id JOIN agents_task task ON task.id = step.task_id
JOIN agents_agent agent ON agent.id = step.agent_id
JOIN projects_project project ON project.id = step.project_id
JOIN projects_user person ON person.id = task.requester_id
JOIN approvals_policy policy ON policy.project_id = step.project_id
JOIN bench_pool lead ON lead.project_id = step.project_id AND lead.slot = 0
CROSS JOIN LATERAL (SELECT call.state = 'asked' AS open, abs(hashtext(call.id::text)) AS h) facts;
-- Grants of half a year, one in forty in force; some were revoked, some used up.
INSERT INTO approvals_standinggrant (id, project_id, agent_id, server, tool, pin, patterns, origin_id,
    granted_by_id, at, expires_at, max_hits, hits, used_at, revoked_at, revoked_by_id, key, mark)
SELECT uuidv7(made.at - now()), project_id, NULL, 'tickets', 'file', snapshot -> 'call',
    '{"number": {"kind": "any", "value": null}, "title": {"kind": "exact", "value": "Round once on the total"}}', id,
    decided_by_id, made.at, made.at + lasts, 100, CASE WHEN nth % 11 = 0 THEN 100 ELSE nth % 90 END,
    made.at + lasts / 2, CASE WHEN nth % 7 = 0 THEN least(made.at + lasts / 2, now()) END,
    CASE WHEN nth % 7 = 0 THEN decided_by_id END, 'bench', ''
FROM (SELECT *, row_number() OVER (ORDER BY hashtext(id::text), id) AS nth
      FROM approvals_callapproval WHERE state = 'done') call
CROSS JOIN LATERAL (SELECT now() - nth * interval '180 days' * 50 / current_setting('bench.tasks')::int
    AS at, interval '9 days' AS lasts) made
WHERE nth <= current_setting('bench.tasks')::int / 50;
-- Each that was made was allowed; of those that two must allow one has.
INSERT INTO approvals_callsignature (id, approval_id, signer_id, requester_id, single_person, verdict,
    digest, nonce, note, on_behalf_of, at, key, mark)
SELECT uuidv7(coalesce(decided_at, requested_at) - now()), call.id,
    coalesce(decided_by_id, two[h / 50 % 2 + 1]), requester_id, false, 'allow', digest, nonce, '', '[]',
    coalesce(decided_at, requested_at), 'bench', ''
FROM approvals_callapproval call JOIN bench_lead USING (project_id)
CROSS JOIN LATERAL (SELECT abs(hashtext(call.id::text)) AS h) facts
WHERE state = 'done' OR h % 50 = 0;
-- One in twenty is seen to by one of the two, for the first half of its time alone.
INSERT INTO approvals_callassignment (id, approval_id, project_id, holder_id, by_id, at, alone_until)
SELECT uuidv7(), call.id, project_id, two[h / 20 % 2 + 1], two[h / 20 % 2 + 1], requested_at,
    requested_at + (expires_at - requested_at) / 2
FROM approvals_callapproval call JOIN bench_lead USING (project_id)
CROSS JOIN LATERAL (SELECT abs(hashtext(call.id::text)) AS h) facts
WHERE state = 'pending' AND h % 20 = 7;
-- Of all people are reminded at half of the time; of one in ten the end is put off.
INSERT INTO approvals_callreminder (id, approval_id, share, due_at, extends, told_at, "to")
SELECT uuidv7(), call.id, share, due.at, CASE share WHEN 100 THEN interval '1 day' END,
    CASE WHEN due.at < now() THEN due.at END, CASE WHEN due.at < now() THEN two ELSE '{}' END
FROM approvals_callapproval call JOIN bench_lead USING (project_id)
CROSS JOIN (VALUES (50), (100)) AS times(share)
CROSS JOIN LATERAL (SELECT requested_at + (expires_at - requested_at) * share / 100 AS at) due
WHERE state = 'pending' AND (share = 50 OR abs(hashtext(call.id::text)) % 10 = 3);
