"""The first table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table of the articles."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Article",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40, unique=True)),
                ("price", models.DecimalField(decimal_places=2, max_digits=8)),
                ("picture", models.FileField(blank=True, upload_to="pictures")),
            ],
        ),
    ]
