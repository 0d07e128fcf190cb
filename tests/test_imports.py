"""Who may import whom, read from the source: nothing is imported here."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "robotini_ray"
NAME = PACKAGE.name


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node, inside_functions):
    """Every statement below a node that runs; those of functions only if they are asked for."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not inside_functions:
            continue
        yield child
        yield from statements(child, inside_functions)


def imported(module, inside_functions=False):
    """The modules that a module imports, ours by full name (with the packages that they are in), others by their first."""
    found = set()
    for node in statements(TREES[module], inside_functions):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] != NAME:
                found.add(parts[0])
            found.update(prefix for k in range(len(parts)) if (prefix := ".".join(parts[: k + 1])) in TREES)
    return found - {module}


IMPORTS = {module: imported(module) for module in TREES}
ALL_IMPORTS = {module: imported(module, inside_functions=True) for module in TREES}


def reached(module):
    """Everything that importing a module imports, with the way to it."""
    ways = {module: [module]}
    pending = [module]
    while pending:
        at = pending.pop()
        for name in IMPORTS.get(at, ()):
            if name not in ways:
                ways[name] = [*ways[at], name]
                pending.append(name)
    return ways


def within(*packages):
    return [module for module in TREES if any(module == p or module.startswith(p + ".") for p in packages)]


ORDER = (
    "errors",
    "machine",
    "config_checks",
    "shipped",
    "simulator_address",
    "config",
    "track",
    "car",
    "policy",
    "simulator.world",
    "simulator.camera",
    "simulator.server",
    "simulator",
    "environment",
    "run",
    "monitor",
    "racing",
    "replay",
    "watch",
    "agents",
    "parts",
    "program",
    "doctor",
    "benchmarks",
    "commands",
    "launch",
    "__main__",
)
"""The folders, and the files of the root, in the order of the data: each imports only from those before it."""

HEAVY = {"tensorflow", "tf_agents", "reverb"}
MAY_IMPORT_HEAVY = ("agents", "benchmarks", "parts", "replay", "environment.race_environment", "run.tensorboard_files")
MAY_IMPORT_RAY = ("benchmarks", "program", "parts.learner", "parts.weights_broadcast", "run.ray_metrics")


def place(module):
    """The place of a module in ``ORDER``."""
    name = module.removeprefix(f"{NAME}.")
    return max((folder for folder in ORDER if f"{name}.".startswith(f"{folder}.")), key=len)


def test_every_module_has_a_place_in_the_order():
    assert {place(module) for module in TREES if module != NAME} >= set(ORDER) - {"__main__"}


@pytest.mark.parametrize("module", [module for module in TREES if module != NAME])
def test_a_module_imports_only_from_its_folder_and_those_before(module):
    """Imports inside functions count too."""
    own = ORDER.index(place(module))
    later = [name for name in ALL_IMPORTS[module] if name in TREES and name != NAME and ORDER.index(place(name)) > own]
    packages = {name for name in later if SOURCES[name].name == "__init__.py"}  # a package counts with what is imported of it
    assert set(later) - packages == set()


def ways_to(libraries, allowed):
    """How modules outside the allowed places come to import one of these libraries."""
    free = set(TREES) - set(within(*(f"{NAME}.{name}" for name in allowed)))
    return {module: way for module in free for name, way in reached(module).items() if name in libraries}


def test_what_must_start_quickly_does_not_import_tensorflow():
    assert ways_to(HEAVY, MAY_IMPORT_HEAVY) == {}


def test_ray_is_only_for_the_distributed_part():
    assert ways_to({"ray"}, MAY_IMPORT_RAY) == {}


def test_the_interfaces_of_the_parts_need_neither():
    assert not (HEAVY | {"ray"}) & set(reached(f"{NAME}.parts.interfaces"))


def test_nothing_is_allowed_that_is_not_used():
    for allowed, libraries in ((MAY_IMPORT_HEAVY, HEAVY), (MAY_IMPORT_RAY, {"ray"})):
        for name in allowed:
            assert any(libraries & set(reached(module)) for module in within(f"{NAME}.{name}")), name


def test_the_reading_of_imports_sees_what_there_is():
    assert "tf_agents" in reached(f"{NAME}.environment.race_environment")
    assert set(reached(f"{NAME}.parts.learner")) >= HEAVY
    verbs = f"{NAME}.commands.training_verbs"
    assert f"{NAME}.commands.train" in ALL_IMPORTS[verbs] - IMPORTS[verbs]


def test_only_the_verb_imports_the_benchmarks():
    users = {module for module in TREES for name in ALL_IMPORTS[module] if name in within(f"{NAME}.benchmarks")}
    assert users - set(within(f"{NAME}.benchmarks")) == {f"{NAME}.commands.benchmark", f"{NAME}.commands.training_verbs"}


def test_a_racing_bot_starts_without_what_takes_long():
    ways = reached(f"{NAME}.commands.drive")
    assert {name: ways[name] for name in ("ray", "redis", "numba", "scipy", "rich") if name in ways} == {}


def test_redis_is_only_for_the_store():
    assert [module for module, names in ALL_IMPORTS.items() if "redis" in names] == [f"{NAME}.car.state_store"]


def test_the_replay_table_is_named_in_one_place():
    (table,) = (
        node.value.value
        for node in TREES[f"{NAME}.replay.table"].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TABLE"
    )
    holders = [
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == table
    ]
    assert holders == [f"{NAME}.replay.table"]


@pytest.mark.parametrize("own", ["car", "environment"])
def test_cars_know_nothing_of_the_simulator(own):
    for module in within(f"{NAME}.{own}"):
        assert not ALL_IMPORTS[module] & set(within(f"{NAME}.simulator")), module
        assert not reached(module).keys() & set(within(f"{NAME}.simulator")), module


def test_the_simulator_knows_nothing_of_the_cars_side():
    for module in within(f"{NAME}.simulator"):
        assert not ALL_IMPORTS[module] & set(within(f"{NAME}.car", f"{NAME}.environment")), module
        assert not reached(module).keys() & set(within(f"{NAME}.car", f"{NAME}.environment")), module


def test_imports_point_one_way():
    """Also those inside functions, which a cycle would only hide."""
    packages = {module for module, path in SOURCES.items() if path.name == "__init__.py"}
    done = set()

    def visit(module, way):
        assert module not in way, f"a cycle: {' -> '.join([*way[way.index(module) :], module])}"
        if module in done:
            return
        for name in sorted(ALL_IMPORTS[module] & set(TREES)):
            if name not in packages:
                visit(name, [*way, module])
        done.add(module)

    for module in TREES:
        visit(module, [])


@pytest.mark.parametrize("module", [module for module, path in SOURCES.items() if path.name == "__init__.py"])
def test_packages_import_nothing(module):
    assert IMPORTS[module] == set()
