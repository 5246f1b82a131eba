"""The function that appends to the audit log: within one statement, so that it may end another.

It is volatile: each of its statements sees what was committed while the one before waited for the
lock. In the statement of a caller the last digest would be that of before the wait.
"""

from django.db import migrations

APPEND = """
CREATE FUNCTION audit_append(acts json)
RETURNS TABLE (entry bigint, before text, after text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    act record;
BEGIN
    IF acts IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(207228183);
    SELECT digest INTO after FROM projects_auditentry ORDER BY id DESC LIMIT 1;
    FOR act IN SELECT given.* FROM json_to_recordset(acts) AS given (
        at timestamptz, actor uuid, label text, address inet, project uuid, action text,
        object_type text, object_id text, detail jsonb, facts text) LOOP
        before := coalesce(after, repeat('0', 64));
        after := encode(sha256(convert_to(
            '["' || before || '", ' || substr(act.facts, 2), 'UTF8')), 'hex');
        INSERT INTO projects_auditentry (
            at, actor_id, actor_label, address, project_id, action, object_type, object_id, detail,
            previous_digest, digest)
        VALUES (
            act.at, act.actor, act.label, act.address, act.project, act.action, act.object_type,
            act.object_id, act.detail, before, after)
        RETURNING id INTO entry;
        RETURN NEXT;
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("projects", "0003_set_quotas")]
    operations = [migrations.RunSQL(APPEND, "DROP FUNCTION audit_append(json)")]
