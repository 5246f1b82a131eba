"""Sign in and sign out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from countersign import entrance
from countersign.console.addresses import inside
from countersign.console.posted import page_of, takes_forms

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_NOT_DONE = "You had been signed out. If you sent something, it was not done: do it again here."


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Let a person in and go on to where they wanted to be."""
    wanted = inside(request, request.POST.get("next") or request.GET.get("next"))
    page = page_of(wanted)  # a form that came when the session was over: its page
    if request.user.is_authenticated:
        return redirect(page)
    form = AuthenticationForm(request, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        entrance.sign_in(request, form.get_user())
        if page != wanted:
            messages.warning(request, _NOT_DONE)
        return redirect(page)
    status = 200
    if request.method == "POST":
        entrance.refused(request)
        status = 400
    context = {
        "form": form,
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "not_done": page != wanted,
    }
    return render(request, "session/sign_in.html", context, status=status)


@takes_forms
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    entrance.sign_out(request)
    return redirect("console:sign_in")
