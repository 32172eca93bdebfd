"""The views; each is asked for by test_django.py."""

import asyncio
import hashlib
import os

from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import FileResponse, Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from shop.models import Article

closed = []


def where(request):
    return JsonResponse({
        "url": request.build_absolute_uri(), "next": request.build_absolute_uri(reverse("number", args=[7])),
        "scheme": request.scheme, "path": request.path, "info": request.path_info, "addr": request.META["REMOTE_ADDR"],
        "script": request.META.get("SCRIPT_NAME"), "query": request.GET.dict(), "kind": type(request).__name__})


def number(request, number):
    return JsonResponse({"number": number})


def session(request):
    """Kept in the database."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    if "name" in request.GET:
        request.session["name"] = request.GET["name"]
    return JsonResponse({k: request.session[k] for k in ("visits", "name") if k in request.session})


def form(request):
    if request.method == "GET":
        return render(request, "form.html")
    doc = request.FILES["doc"]
    total = hashlib.sha256()
    for part in doc.chunks():
        total.update(part)
    return JsonResponse({
        "title": request.POST["title"], "name": doc.name, "type": doc.content_type, "size": doc.size,
        "sha256": total.hexdigest(), "spooled": isinstance(doc, TemporaryUploadedFile)})


@csrf_exempt
def raw(request):
    size, total = 0, hashlib.sha256()
    while part := request.read(65536):
        size += len(part)
        total.update(part)
    return JsonResponse({"size": size, "sha256": total.hexdigest()})


def stream(request):
    """Lines; Django itself makes them on the event loop under ASGI, where its database refuses to work."""
    count = Article.objects.count()
    return StreamingHttpResponse((f"{n} {count}\n" for n in range(int(request.GET["lines"]))), content_type="text/plain")


def endless(request):
    name = request.GET["name"]

    def blocks():
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.append(name)
    return StreamingHttpResponse(blocks(), content_type="application/octet-stream")


def show_closed(request):
    return JsonResponse(closed, safe=False)


def file(request):
    with open(os.path.join(os.environ["HB_TEST_DIR"], "block"), "wb") as f:
        f.write(bytes(range(256)) * 1200)
    return FileResponse(open(f.name, "rb"), as_attachment=True, filename="a block.bin")


async def asynchronous(request):
    """A view that awaits, also under WSGI."""
    await asyncio.sleep(0.001)
    count = await sync_to_async(Article.objects.count)()
    return JsonResponse({"articles": count})


def big(request):
    return HttpResponse("compressible " * 10_000)


def fail(request):
    raise RuntimeError("as asked")


def missing(request):
    raise Http404("as asked")
