"""Real files of others, kept beside the checkout; a test that needs one is skipped where the folder is absent."""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"


def sample(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the folder with real data is not beside the checkout: {'/'.join(parts)}")
    return path
