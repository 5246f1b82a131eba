"""Bearer tokens: who they speak for, and what they may touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import (
    AuthenticationFailed,
    MethodNotAllowed,
    PermissionDenied,
)
from rest_framework.permissions import BasePermission

from projects import tokens
from projects.models import ApiToken

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from projects.models import User

NEVER = "never"  # the scope no token has: only a person at the console may do this


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer cs_…`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the person and the token; None when there is no bearer text at all."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = tokens.find(text.strip())
        if token is None:
            raise AuthenticationFailed(
                "This token is unknown, expired or revoked. Make a new one and send that."
            )
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in a 401."""
        return "Bearer"


class TokenScope(BasePermission):
    """A token may do what its scopes say; a person signed in, what their membership says."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Refuse with the missing scope; sessions pass."""
        if not isinstance(request.auth, ApiToken):
            return True
        method = "GET" if request.method == "HEAD" else str(request.method)
        if not hasattr(view, method.lower()):
            raise MethodNotAllowed(str(request.method))
        scope = view.scopes.get(method, NEVER)  # type: ignore[attr-defined]
        if scope == NEVER:
            raise PermissionDenied("A token never decides. Sign in to the console and do it there.")
        if scope not in request.auth.scopes:
            raise PermissionDenied(f"This token lacks the scope {scope}. Make one that has it.")
        return True


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes it."""

    target_class = "countersign.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "cs_<key>_<secret>"}
