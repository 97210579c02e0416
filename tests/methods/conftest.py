from helpers.methods import BUILT_IN


def pytest_generate_tests(metafunc):
    """A test that takes a `name` runs with every built-in method."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", BUILT_IN)
