# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The family of errors: bases, codes, names. What raises each is tested where it is raised."""

import pickle

import pytest

import medsam_engine

FAMILY = {
    "InvalidArgument": (1, ValueError),
    "ModelError": (2, None),
    "BackendError": (3, None),
    "OutOfMemory": (4, MemoryError),
    "Unsupported": (5, None),
    "Cancelled": (6, None),
}


@pytest.mark.parametrize("name", FAMILY)
def test_bases_and_codes(name: str) -> None:
    code, also = FAMILY[name]
    error = getattr(medsam_engine, name)
    assert issubclass(error, medsam_engine.Error)
    assert error.code == code
    assert error.__module__ == "medsam_engine"
    assert error.__doc__
    if also is not None:
        assert issubclass(error, also)
    others = [getattr(medsam_engine, other) for other in FAMILY if other != name]
    assert not issubclass(error, tuple(others))


@pytest.mark.parametrize("name", ["Error", *FAMILY])
def test_they_cross_process_borders(name: str) -> None:
    error = getattr(medsam_engine, name)("one line")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == "one line"
