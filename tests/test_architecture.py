"""The rooms of the engine: how many there are, and which may import which."""

import pytest
from rooms import floors, imports, picture, room, rooms


def test_no_module_imports_itself_over_others():
    floors({name: targets - {name} for name, targets in imports().items()})


def test_rooms_stand_on_few_floors_and_no_arrow_runs_up():
    graph = rooms()
    height = floors(graph)
    assert len(graph) <= 33, sorted(graph)  # and beside them benchmarks/ and .ci/
    assert max(height.values()) <= 11, height


def test_the_engine_knows_no_method_and_no_scenario_by_name():
    for name, targets in imports().items():
        if room(name) not in ("methods", "scenarios"):
            assert not {t for t in targets if room(t) in ("methods", "scenarios")}, name


def test_a_circle_is_named():
    with pytest.raises(ValueError, match="a -> b -> a"):
        floors({"a": {"b"}, "b": {"a"}})


def test_the_picture_shows_every_room_once_and_no_arrow_runs_up():
    image = picture()
    for name in rooms().keys() - {"", "__main__", "_version"}:
        assert image.count(f">{name}</text>") == 1
