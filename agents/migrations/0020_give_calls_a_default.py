"""A tool call that is inserted with others has its default from Django, too."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0019_tell_of_held_signatures'),
    ]

    operations = [
        migrations.AlterField(
            model_name='toolcall',
            name='withdrawn',
            field=models.BooleanField(db_default=False, default=False, help_text='Its step was stopped; what asks for it is still to be closed.'),
        ),
    ]
