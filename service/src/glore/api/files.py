"""Files that are served as they are: read once, and not sent again to who has them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, Self

from fastapi import Request, Response

_MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "json": "application/json",
        "svg": "image/svg+xml",
    }
)
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Cache-Control": "no-cache",  # may be kept, and is asked for again before it is used
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)


@dataclass(frozen=True, slots=True)
class File:
    """A file and its ETag."""

    content: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, file: Traversable) -> Self:
        """The file as it is now. Raises KeyError for a kind of file that no page has."""
        content = file.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        return cls(content, _MEDIA_TYPES[file.name.rpartition(".")[2]], tag)

    def respond(self, request: Request, policy: str) -> Response:
        """The file, or 304 where the request names its ETag; `policy` is that of its content."""
        headers = {**HEADERS, "Content-Security-Policy": policy, "ETag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)
