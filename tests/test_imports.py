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


HEAVY = {"tensorflow", "tf_agents", "reverb"}
LIGHT = within(f"{NAME}.simulator", f"{NAME}.car", f"{NAME}.monitor", f"{NAME}.track", f"{NAME}.machine", f"{NAME}.policy") + [
    f"{NAME}.{name}"
    for name in (
        "environment.observation",
        "environment.privileged",
        "environment.reward",
        "environment.score",
        "run.reports",
        "run.progress",
        "watch.live_table",
        "config",
        "launch",
        "commands.benchmark",
        "commands.monitor",
        "benchmarks.simulator",
        "program.launcher",
        "program.topology",
        "run.checkpoints",
        "run.directory",
        "commands.train",
        "commands.simulate",
        "commands.drive",
        "commands.demo",
        "commands.record",
        "commands.replay_log",
        "commands.doctor",
        "commands.status",
    )
]


@pytest.mark.parametrize("module", LIGHT)
def test_what_must_start_quickly_does_not_import_tensorflow(module):
    assert module in TREES
    ways = reached(module)
    assert {name: ways[name] for name in HEAVY if name in ways} == {}


def test_the_reading_of_imports_sees_what_there_is():
    assert "tf_agents" in reached(f"{NAME}.environment.race_environment")
    assert set(reached(f"{NAME}.parts.learner")) >= HEAVY
    verbs = f"{NAME}.commands.training_verbs"
    assert f"{NAME}.commands.train" in ALL_IMPORTS[verbs] - IMPORTS[verbs]


@pytest.mark.parametrize("name", ["launch", "car", "simulator", "monitor", "environment.reward", "policy"])
def test_ray_is_only_for_the_distributed_part(name):
    for module in within(f"{NAME}.{name}"):
        assert "ray" not in reached(module)


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
