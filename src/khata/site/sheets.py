"""Static files as they are served: named by their content, compressed, and sheets without words for engineers."""

import re
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

_COMMENT = re.compile(rb"/\*.*?\*/\s*", re.DOTALL)


class Sheets(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    def _save(self, name: str, content: Any) -> str:
        if name.endswith(".css"):
            content.seek(0)
            content = ContentFile(_COMMENT.sub(b"", content.read()))
        return str(super()._save(name, content))
