"""The admin site's table of articles."""

from django.contrib import admin

from shop.models import Article


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """Articles can be searched by name."""

    list_display = ["name", "price"]
    search_fields = ["name"]
