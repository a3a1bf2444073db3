"""The image's lock fits what the project asks for; `make lock` renews it."""

from __future__ import annotations

import configparser
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .image import pins
from .launching import ROOT

IMAGE = {"python_version": "3.12", "python_full_version": "3.12.0", "sys_platform": "linux", "os_name": "posix",
         "platform_system": "Linux", "extra": ""}  # fmt: skip


def needed(texts: list[str]) -> list[Requirement]:
    """Those that the image needs."""
    found = [Requirement(text) for text in texts]
    return [one for one in found if one.marker is None or one.marker.evaluate(IMAGE)]


def test_it_has_what_the_project_asks_for_in_versions_that_it_takes() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].splitlines()
    locked = pins("requirements.txt")
    asked = needed([line for line in lines if line.strip() and not line.startswith("#")])
    assert len(asked) >= 5
    for one in asked:
        name = canonicalize_name(one.name)
        assert name in locked, f"{one}: make lock"
        assert one.specifier.contains(locked[name].version), f"{one}, and {locked[name].version} is locked: make lock"


def test_it_has_what_those_ask_for() -> None:
    locked = pins("requirements.txt")
    for name in locked:
        for one in needed(metadata.requires(name) or []):
            assert canonicalize_name(one.name) in locked, f"{name} needs {one}: make lock"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_every_package_has_its_hashes(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    assert {line.split("==")[0] for line in text.splitlines() if "==" in line} == set(pins(name))
    assert all(one.hashes for one in pins(name).values())
    assert "://" not in text, "it names no index"
