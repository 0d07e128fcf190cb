import os

import pytest


@pytest.fixture
def without_hard_links(monkeypatch):
    """A file system that refuses hard links, as exFAT does."""

    def link(source, target, **options):
        raise PermissionError(1, "Operation not permitted", str(source), None, str(target))

    monkeypatch.setattr(os, "link", link)
