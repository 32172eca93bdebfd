"""One model, for the admin site."""

from django.db import models


class Article(models.Model):
    """What the shop sells."""

    name = models.CharField(max_length=40, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    picture = models.FileField(upload_to="pictures", blank=True)

    def __str__(self):
        return self.name
