-- One breach of every invariant, as somebody with SQL would make it.
-- :merged, :review, :asking and :working are the tasks of tests/invariant_fixtures.py; the statement
-- behind "row" returns what the check must name.

-- breaks audit-chain
ALTER TABLE projects_auditentry DISABLE TRIGGER append_only;
UPDATE projects_auditentry SET actor_label = 'nobody' WHERE action = 'effect.done';
-- row SELECT id FROM projects_auditentry WHERE action = 'effect.done' ORDER BY id LIMIT 1

-- breaks audit-chain
ALTER TABLE projects_auditentry DISABLE TRIGGER append_only;
DELETE FROM projects_auditentry WHERE id = (SELECT min(id) + 1 FROM projects_auditentry);
-- row SELECT id FROM projects_auditentry ORDER BY id OFFSET 1 LIMIT 1

-- breaks audit-anchors
ALTER TABLE projects_auditentry DISABLE TRIGGER append_only;
CREATE TEMP TABLE cut_off AS SELECT max(id) AS id FROM projects_auditentry;
DELETE FROM projects_auditentry WHERE id = (SELECT id FROM cut_off);
-- row SELECT id FROM cut_off

-- breaks append-only
ALTER TABLE approvals_signature DISABLE TRIGGER append_only;
-- row SELECT 'approvals_signature'

-- breaks event-sequence
DELETE FROM agents_event WHERE task_id = :merged AND seq = 3;
-- row SELECT :merged

-- breaks event-sequence
ALTER TABLE agents_event DROP CONSTRAINT one_event_per_seq;
UPDATE agents_event SET seq = 2 WHERE task_id = :merged AND seq = 3;
-- row SELECT :merged

-- breaks event-sequence
UPDATE agents_task SET last_seq = last_seq + 1 WHERE id = :review;
-- row SELECT :review

-- breaks task-fold
UPDATE agents_task SET state = 'executing' WHERE id = :review;
-- row SELECT :review

-- breaks step-fold
UPDATE agents_step
SET state = 'failed'
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :merged AND key = 'mend');
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :merged AND key = 'mend')

-- breaks task-moves
UPDATE agents_event
SET data = jsonb_set(data, '{state}', '"done"')
WHERE task_id = :merged AND kind = 'task.planned';
-- row SELECT :merged

-- breaks step-moves
UPDATE agents_event
SET data = jsonb_set(data, '{from}', '"cancelled"')
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :merged AND key = 'mend') AND kind = 'step.finished';
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :merged AND key = 'mend')

-- breaks task-stuck
UPDATE agents_event SET at = now() - interval '1 hour' WHERE task_id = :working;
UPDATE agents_step
SET state = 'waiting', lease_until = NULL
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT :working

-- breaks task-asks
UPDATE agents_escalation SET state = 'resolved', choice = 'stop', resolved_at = now() WHERE task_id = :asking;
-- row SELECT :asking

-- breaks task-asks
UPDATE agents_task SET state = 'planning' WHERE id = :asking;
-- row SELECT id FROM agents_escalation WHERE task_id = :asking ORDER BY id LIMIT 1

-- breaks step-asks
UPDATE agents_escalation SET step_id = NULL WHERE task_id = :asking;
-- row SELECT id FROM agents_step WHERE task_id = :asking ORDER BY id LIMIT 1

-- breaks step-asks
UPDATE agents_step SET state = 'ready' WHERE task_id = :asking;
-- row SELECT id FROM agents_escalation WHERE task_id = :asking ORDER BY id LIMIT 1

-- breaks over-is-over
UPDATE agents_task SET state = 'cancelled', finished_at = now() WHERE id = :working;
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased')

-- breaks lease-swept
UPDATE agents_step
SET lease_until = now() - interval '1 hour'
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased')

-- breaks attempt-held
UPDATE agents_attempt
SET state = 'lost', finished_at = now()
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased')

-- breaks attempt-held
UPDATE agents_step
SET attempt = attempt + 1
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT (SELECT id FROM agents_attempt WHERE step_id = (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased'))

-- breaks fan-in
UPDATE agents_step
SET waits = waits + 1
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :working AND key = 'then');
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND key = 'then')

-- breaks fan-in
UPDATE agents_step SET waits = 1 WHERE task_id = :asking AND state = 'waiting_human';
-- row SELECT id FROM agents_step WHERE task_id = :asking AND state = 'waiting_human'

-- breaks step-asks
INSERT INTO agents_toolcall (id, attempt_id, response, call_id, server, tool, arguments, fingerprint, state, result, result_fingerprint, error, summary, sandbox, tree)
SELECT gen_random_uuid(), id, 0, 'x', 's', 't', '{}', 'f', 'waiting', '', '', '', '', '', ''
FROM agents_attempt
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
UPDATE agents_step
SET state = 'waiting', lease_until = NULL
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT (SELECT attempt.step_id FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id WHERE call.state = 'waiting')

-- breaks tool-call-settled
INSERT INTO agents_toolcall (id, attempt_id, response, call_id, server, tool, arguments, fingerprint, state, result, result_fingerprint, error, summary, sandbox, tree)
SELECT gen_random_uuid(), id, 0, 'x', 's', 't', '{}', 'f', 'started', '', '', '', '', '', ''
FROM agents_attempt
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :merged AND key = 'mend');
-- row SELECT id FROM agents_toolcall

-- breaks question-answered
INSERT INTO agents_delegation (id, task_id, asker_id, call_id, answerer_id, from_agent_id, to_agent_id, depth, goal, question, goal_fingerprint, tree, state)
SELECT gen_random_uuid(), task_id, (SELECT id
FROM agents_step
WHERE task_id = :merged AND key = 'mend'), gen_random_uuid(), (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased'), agent_id, agent_id, 1, 'g', 'q', 'f', '', 'answered'
FROM agents_step
WHERE id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased')

-- breaks budget
UPDATE agents_task SET input_tokens = 700000 WHERE id = :working;
-- row SELECT :working

-- breaks budget
UPDATE agents_task SET usd = 5.5 WHERE id = :working;
-- row SELECT :working

-- breaks turns
UPDATE agents_attempt
SET turns = 99
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :working AND state = 'leased');
-- row SELECT (SELECT id FROM agents_attempt WHERE step_id = (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased'))

-- breaks meters
UPDATE agents_task SET output_tokens = 7 WHERE id = :merged;
-- row SELECT :merged

-- breaks reserved
UPDATE agents_attempt
SET reserved_tokens = 9
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :merged AND key = 'mend');
-- row SELECT id FROM agents_attempt WHERE step_id = (SELECT id FROM agents_step WHERE task_id = :merged AND key = 'mend') ORDER BY id LIMIT 1

-- breaks one-project
UPDATE agents_stepdependency
SET needs_id = (SELECT id
FROM agents_step
WHERE task_id = :merged AND key = 'mend')
WHERE step_id = (SELECT id
FROM agents_step
WHERE task_id = :working AND key = 'then');
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND key = 'then')

-- breaks one-project
INSERT INTO projects_project (id, slug, name, repository, main_branch, checks_command, allow_rlimits_only, single_person, memory_enabled, bundled, limits)
VALUES ('00000000-0000-7000-8000-000000000001', 'other', 'Other', '/other', 'main', '', false, false, true, false, '{}');
UPDATE memory_memory
SET project_id = '00000000-0000-7000-8000-000000000001'
WHERE id = (SELECT min(memory_id::text)::uuid
FROM memory_memoryuse
WHERE task = :merged);
-- row SELECT (SELECT min(memory_id::text)::uuid FROM memory_memoryuse WHERE task = :merged)

-- breaks holds
INSERT INTO agents_hold (id, scope, reason, placed_by_id, placed_at)
SELECT gen_random_uuid(), 'everything', '', requester_id, now() - interval '30 seconds'
FROM agents_task
WHERE id = :working;
-- row SELECT (SELECT id FROM agents_step WHERE task_id = :working AND state = 'leased')

-- breaks sandbox
UPDATE agents_proposal SET checks = '{"ran": true, "sandbox": ""}' WHERE task_id = :merged;
-- row SELECT id FROM agents_proposal WHERE task_id = :merged ORDER BY id LIMIT 1

-- breaks sandbox
UPDATE agents_proposal SET checks = '{"ran": true, "sandbox": "rlimits"}' WHERE task_id = :merged;
-- row SELECT id FROM agents_proposal WHERE task_id = :merged ORDER BY id LIMIT 1

-- breaks stdio
INSERT INTO agents_toolserver (id, slug, name, transport, target, enabled)
VALUES (gen_random_uuid(), 'evil', 'Evil', 'stdio', 'sh', true);
-- row SELECT id FROM agents_toolserver WHERE slug = 'evil' ORDER BY id LIMIT 1

-- breaks memory-kept
ALTER TABLE memory_memory DROP CONSTRAINT active_memory_has_a_human;
UPDATE memory_memory
SET approved_by_id = NULL
WHERE id = (SELECT min(memory_id::text)::uuid
FROM memory_memoryuse
WHERE task = :merged);
-- row SELECT (SELECT min(memory_id::text)::uuid FROM memory_memoryuse WHERE task = :merged)

-- breaks memory-kept
ALTER TABLE projects_auditentry DISABLE TRIGGER append_only;
UPDATE projects_auditentry
SET action = 'memory.made'
WHERE object_id = (SELECT min(memory_id::text)::uuid
FROM memory_memoryuse
WHERE task = :merged)::text;
-- row SELECT (SELECT min(memory_id::text)::uuid FROM memory_memoryuse WHERE task = :merged)

-- breaks memory-recalled
UPDATE memory_memory
SET state = 'quarantined', approved_by_id = NULL, approved_at = NULL
WHERE id = (SELECT min(memory_id::text)::uuid
FROM memory_memoryuse
WHERE task = :merged);
-- row SELECT (SELECT min(memory_id::text)::uuid FROM memory_memoryuse WHERE task = :merged)

-- breaks memory-forgotten
UPDATE memory_memory
SET state = 'erased', content = '', text_digest = '', subject = ''
WHERE id = (SELECT min(memory_id::text)::uuid
FROM memory_memoryuse
WHERE task = :merged);
INSERT INTO memory_memoryembedding (memory_id, model_id, dimensions, vector)
VALUES ((SELECT min(memory_id::text)::uuid
FROM memory_memoryuse
WHERE task = :merged), 'left', 1, '[1]');
-- row SELECT (SELECT min(memory_id::text)::uuid FROM memory_memoryuse WHERE task = :merged)

-- breaks effect-once
UPDATE approvals_effect
SET state = 'failed'
WHERE id = (SELECT id
FROM approvals_effect
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged));
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks effect-once
INSERT INTO approvals_effect (id, approval_id, position, kind, arguments, state, not_before, worker, result, error)
SELECT gen_random_uuid(), id, 0, 'git.merge', '{}', 'done', now(), '', '{}', ''
FROM approvals_approval
WHERE task_id = :review;
-- row SELECT id FROM approvals_approval WHERE task_id = :review ORDER BY id LIMIT 1

-- breaks effect-signed
DELETE
FROM approvals_signature
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT (SELECT id FROM approvals_effect WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged))

-- breaks effect-signed
UPDATE approvals_signature
SET digest = 'another'
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT (SELECT id FROM approvals_effect WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged))

-- breaks effect-signed
ALTER TABLE approvals_signature DROP CONSTRAINT requester_never_signs;
UPDATE approvals_signature SET signer_id = requester_id;
-- row SELECT (SELECT id FROM approvals_effect WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged))

-- breaks effect-signed
UPDATE approvals_approval
SET decided_at = decided_at + interval '1 hour'
WHERE id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT (SELECT id FROM approvals_effect WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged))

-- breaks signature-genuine
UPDATE approvals_signature
SET note = 'I never said so'
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT id FROM approvals_signature WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks effect-sealed
UPDATE approvals_effect
SET arguments = jsonb_set(arguments, '{head}', '"evil"')
WHERE id = (SELECT id
FROM approvals_effect
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged));
-- row SELECT (SELECT id FROM approvals_effect WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged))

-- breaks decided-once
INSERT INTO agents_event (task_id, seq, kind, data)
SELECT task_id, 999, kind, data
FROM agents_event
WHERE task_id = :merged AND kind = 'approval.decided';
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks decided-once
UPDATE approvals_signature SET verdict = 'reject';
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks stood-in
UPDATE approvals_signature
SET on_behalf_of = jsonb_build_array(
    jsonb_build_object('delegation', gen_random_uuid(), 'person', signer_id, 'name', 'Ravi'))
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT id FROM approvals_signature WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks signature-copied
UPDATE approvals_signature SET carried_from_id = id
WHERE approval_id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT id FROM approvals_signature WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks signatures-hold
UPDATE approvals_approval
SET state = 'stale', main_moved = true, decided_at = now(),
    snapshot = jsonb_set(snapshot, '{files}', '[]')
WHERE task_id = :review;
UPDATE approvals_approval
SET follows_id = (SELECT id
FROM approvals_approval
WHERE task_id = :review)
WHERE task_id = :merged;
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks worker-cannot-sign
GRANT EXECUTE ON FUNCTION carry_signature(uuid, uuid, uuid) TO countersign_agents;
-- row SELECT 'login countersign_agents'

-- breaks call-undone
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker, sent_at)
SELECT '018f0000-0000-7000-8000-00000000ca11', step.project_id, step.task_id, step.id, gen_random_uuid(),
       task.requester_id, true, false, 'failed', '{"policy": {"undo_seconds": 30}}', '', 'breach', '', now(),
       now() - interval '1 minute', task.requester_id, '', '', now() - interval '40 seconds'
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
WHERE step.task_id = :merged AND step.key = 'mend';
-- row SELECT '018f0000-0000-7000-8000-00000000ca11'

-- breaks reminded-once
INSERT INTO agents_event (task_id, seq, kind, data)
SELECT task_id, 900 + number, 'approval.reminded', jsonb_build_object('approval', id, 'share', 50)
FROM approvals_approval, generate_series(1, 2) AS number
WHERE task_id = :merged;
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks reminded-once
ALTER TABLE approvals_reminder DISABLE TRIGGER as_sealed;
INSERT INTO approvals_reminder (id, approval_id, share, due_at, extends, "to")
SELECT gen_random_uuid(), id, 100, expires_at, interval '90 days', '{}'
FROM approvals_approval
WHERE task_id = :merged;
-- row SELECT id FROM approvals_reminder WHERE share = 100

-- breaks reminded-once
UPDATE approvals_approval SET state = 'expired', decided_at = now()
WHERE task_id = :review AND state = 'pending';
-- row SELECT id FROM approvals_approval WHERE task_id = :review AND state = 'expired'

-- breaks shown-whole
UPDATE approvals_approval
SET snapshot = jsonb_set(snapshot, '{round}', '7')
WHERE id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks shown-whole
UPDATE agents_hunk
SET text = text || '+hidden' || chr(10)
WHERE file_id IN (SELECT file.id
FROM agents_filechange file JOIN agents_proposal proposal ON proposal.id = file.proposal_id
WHERE proposal.task_id = :review);
-- row SELECT id FROM approvals_approval WHERE task_id = :review ORDER BY id LIMIT 1

-- breaks review-moves
UPDATE agents_event SET at = now() - interval '1 hour' WHERE task_id = :review;
DELETE FROM approvals_approval WHERE task_id = :review;
-- row SELECT :review

-- breaks approval-ends
UPDATE agents_task SET state = 'cancelled', finished_at = now() - interval '1 hour' WHERE id = :review;
-- row SELECT id FROM approvals_approval WHERE task_id = :review ORDER BY id LIMIT 1

-- breaks approval-belongs
UPDATE approvals_approval
SET proposal_id = (SELECT id
FROM agents_proposal
WHERE task_id = :review)
WHERE id = (SELECT id
FROM approvals_approval
WHERE task_id = :merged);
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks effect-held
INSERT INTO agents_hold (id, scope, task_id, reason, placed_by_id, placed_at)
SELECT gen_random_uuid(), 'task', id, '', requester_id, now() - interval '1 hour'
FROM agents_task
WHERE id = :merged;
-- row SELECT (SELECT id FROM approvals_effect WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged))

-- breaks call-allowed
INSERT INTO agents_toolcall (id, attempt_id, response, call_id, server, tool, arguments, fingerprint,
                             state, result, result_fingerprint, error, summary, sandbox, tree)
SELECT '018f0000-0000-7000-8000-00000000ca11', attempt.id, 0, 'breach', 'pay', 'pay__pay', '{}', '', 'done',
       '', '', '', '', '', ''
FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id
WHERE step.task_id = :merged ORDER BY attempt.id LIMIT 1;
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker)
SELECT call.id, task.project_id, task.id, step.id, call.id, task.requester_id, true, false, 'done', '{}', '',
       'breach', '', now(), now(), task.requester_id, '', ''
FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id
JOIN agents_step step ON step.id = attempt.step_id JOIN agents_task task ON task.id = step.task_id
WHERE call.call_id = 'breach';
-- row SELECT '018f0000-0000-7000-8000-00000000ca11'

-- breaks call-allowed
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker)
SELECT '018f0000-0000-7000-8000-00000000ca11', step.project_id, step.task_id, step.id, gen_random_uuid(),
       task.requester_id, false, false, 'done', jsonb_build_object('policy', jsonb_build_object(
           'signatures_needed', 1, 'signers', jsonb_build_array(jsonb_build_object(
               'rule', 'Ravi looks', 'anyone_of', jsonb_build_array(jsonb_build_object('id', gen_random_uuid())))))), '', 'breach', '', now(), now(),
       (SELECT decided_by_id FROM approvals_approval WHERE task_id = :merged), '', ''
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
WHERE step.task_id = :merged AND step.key = 'mend';
INSERT INTO approvals_callsignature (id, approval_id, signer_id, requester_id, single_person, verdict, digest,
                                     nonce, note, key, mark, on_behalf_of)
SELECT gen_random_uuid(), id, decided_by_id, requester_id, false, 'allow', '', nonce, '', '', '',
       jsonb_build_array(jsonb_build_object('delegation', gen_random_uuid(), 'person', gen_random_uuid()))
FROM approvals_callapproval WHERE nonce = 'breach';
-- row SELECT '018f0000-0000-7000-8000-00000000ca11'

-- breaks reminded-once
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker)
SELECT '018f0000-0000-7000-8000-00000000ca11', step.project_id, step.task_id, step.id, gen_random_uuid(),
       task.requester_id, false, false, 'pending', '{}', '', 'breach', '', now(), NULL,
       NULL, '', ''
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
WHERE step.task_id = :merged AND step.key = 'mend';
INSERT INTO approvals_callreminder (id, approval_id, share, due_at, extends, "to")
SELECT '018f0000-0000-7000-8000-0000000004e3', id, 100, expires_at, interval '90 days', '{}'
FROM approvals_callapproval WHERE nonce = 'breach';
-- row SELECT '018f0000-0000-7000-8000-0000000004e3'

-- breaks reminded-once
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker)
SELECT '018f0000-0000-7000-8000-00000000ca11', step.project_id, step.task_id, step.id, gen_random_uuid(),
       task.requester_id, false, false, 'expired', '{}', '', 'breach', '', now() + interval '1 minute', now(),
       NULL, '', ''
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
WHERE step.task_id = :merged AND step.key = 'mend';
-- row SELECT '018f0000-0000-7000-8000-00000000ca11'

-- breaks reminded-once
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker)
SELECT '018f0000-0000-7000-8000-00000000ca11', step.project_id, step.task_id, step.id, gen_random_uuid(),
       task.requester_id, false, false, 'expired', '{"policy": {"reminders": {"extend_hours": 2}}}', '', 'breach', '', now() - interval '1 hour', now(),
       NULL, '', ''
FROM agents_step step JOIN agents_task task ON task.id = step.task_id
WHERE step.task_id = :merged AND step.key = 'mend';
INSERT INTO approvals_callreminder (id, approval_id, share, due_at, extends, "to")
SELECT gen_random_uuid(), id, 100, expires_at, interval '2 hours', '{}'
FROM approvals_callapproval WHERE nonce = 'breach';
-- row SELECT '018f0000-0000-7000-8000-00000000ca11'

-- breaks grant-counted
INSERT INTO approvals_standinggrant (id, project_id, server, tool, pin, patterns, origin_id, granted_by_id, at,
                                     expires_at, max_hits, hits, key, mark)
SELECT '018f0000-0000-7000-8000-0000000006a4', project_id, 'pay', 'pay', '{}', '{}', gen_random_uuid(),
       requester_id, now(), now() + interval '1 day', 3, 3, '', ''
FROM agents_task WHERE id = :merged;
-- row SELECT '018f0000-0000-7000-8000-0000000006a4'

-- breaks grant-genuine
INSERT INTO agents_toolcall (id, attempt_id, response, call_id, server, tool, arguments, fingerprint,
                             state, result, result_fingerprint, error, summary, sandbox, tree)
SELECT '018f0000-0000-7000-8000-00000000ca11', attempt.id, 0, 'breach', 'pay', 'pay__pay', '{}', '', 'done',
       '', '', '', '', '', ''
FROM agents_attempt attempt JOIN agents_step step ON step.id = attempt.step_id
WHERE step.task_id = :merged ORDER BY attempt.id LIMIT 1;
INSERT INTO approvals_callapproval (id, project_id, task_id, step_id, call_id, requester_id, single_person,
                                    free, state, snapshot, digest, nonce, edited, expires_at,
                                    decided_at, decided_by_id, reason, worker)
SELECT call.id, task.project_id, task.id, step.id, call.id, task.requester_id, true, false, 'done', '{}', '',
       'breach', '', now(), now(), task.requester_id, '', ''
FROM agents_toolcall call JOIN agents_attempt attempt ON attempt.id = call.attempt_id
JOIN agents_step step ON step.id = attempt.step_id JOIN agents_task task ON task.id = step.task_id
WHERE call.call_id = 'breach';
INSERT INTO approvals_standinggrant (id, project_id, server, tool, pin, patterns, origin_id, granted_by_id, at,
                                     expires_at, max_hits, hits, key, mark)
SELECT '018f0000-0000-7000-8000-0000000006a4', project_id, 'pay', 'pay', '{}', '{}', (SELECT id FROM approvals_callapproval WHERE nonce = 'breach'),
       requester_id, now(), now() + interval '1 day', 3, 1, '', ''
FROM agents_task WHERE id = :merged;
INSERT INTO approvals_standinguse (id, grant_id, approval_id, number, at)
SELECT gen_random_uuid(), '018f0000-0000-7000-8000-0000000006a4', id, 1, now()
FROM approvals_callapproval WHERE nonce = 'breach';
-- row SELECT '018f0000-0000-7000-8000-0000000006a4'

-- breaks listed
UPDATE approvals_listed SET decided_at = NULL
WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :merged) AND under LIKE 'requester:%';
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :merged)

-- breaks listed
UPDATE approvals_listed SET requester = gen_random_uuid()
WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :review) AND under LIKE 'requester:%';
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :review)

-- breaks listed
UPDATE approvals_listed SET cost = cost + 1
WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :review) AND under LIKE 'requester:%';
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :review)

-- breaks listed
UPDATE approvals_listed SET state = 'stale'
WHERE approval_id = (SELECT id FROM approvals_approval WHERE task_id = :review) AND under LIKE 'requester:%';
-- row SELECT (SELECT id FROM approvals_approval WHERE task_id = :review)

-- breaks worker-cannot-sign
GRANT INSERT ON approvals_signature TO countersign_effects;
-- row SELECT 'login countersign_effects'

-- breaks worker-cannot-sign
GRANT UPDATE ON approvals_approval TO countersign_agents;
-- row SELECT 'login countersign_agents'
