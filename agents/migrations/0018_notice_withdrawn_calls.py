"""Mark calls whose step was stopped, so that whoever asks for them finds them without a walk."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0017_ask_before_calling")]

    operations = [
        migrations.AddField(
            model_name="toolcall",
            name="withdrawn",
            field=models.BooleanField(
                db_default=False,
                help_text="Its step was stopped; what asks for it is still to be closed.",
            ),
        ),
        migrations.AddIndex(
            model_name="toolcall",
            index=models.Index(
                condition=models.Q(("withdrawn", True)), fields=["id"], name="tool_call_withdrawn"
            ),
        ),
    ]
