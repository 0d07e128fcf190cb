"""What the package's sources never do: read from outside what could be a program, or listen to everybody."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "robotini_ray").rglob("*.py"))

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}
PROGRAMS = {"eval", "exec", "compile", "__import__"}
LOADERS = {
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.Loader", "yaml.UnsafeLoader",
    "tf.saved_model.load", "tf.keras.models.load_model", "tf.py_function", "os.system", "os.popen",
}  # fmt: skip
OWN_WORK = {"robotini_ray/agents/policy_formats.py": "tf.saved_model.load"}
"""Loaders of what the same function has written just before, to compare it with what it was made of."""

WILDCARDS = {"0.0.0.0", "::", "[::]"}


def dotted(node):
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def offences(tree):
    """What a source does of all this, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found = [f"imports {name}" for name in names if name.split(".")[0] in PICKLES]
        elif isinstance(node, ast.Call):
            found = list(offending_call(node))
        elif isinstance(node, ast.Attribute) and dotted(node) in LOADERS:
            found = [f"uses {dotted(node)}"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in WILDCARDS:
            found = [f"names every interface, {node.value!r}"]
        else:
            continue
        yield from (f"line {node.lineno} {what}" for what in found)


def offending_call(node):
    name = dotted(node.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
        yield "calls np.load without allow_pickle=False"
    if keywords.get("allow_pickle", "False") != "False":
        yield f"allows pickle in {name}"
    if keywords.get("shell", "False") != "False":
        yield f"calls a shell in {name}"
    if isinstance(node.func, ast.Name) and name in PROGRAMS:
        yield f"calls {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_does(path):
    own_work = f" uses {OWN_WORK.get(str(path.relative_to(ROOT)))}"
    assert [found for found in offences(ast.parse(path.read_text())) if not found.endswith(own_work)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import numpy as np; np.load(p)",
        "np.load(p, allow_pickle=True)",
        "np.savez(p, allow_pickle=flag)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.unsafe_load(text)",
        "tf.saved_model.load(path)",
        "subprocess.run(line, shell=True)",
        "os.system('ls')",
        "eval(text)",
        "server.bind(('0.0.0.0', 80))",
    ],
)
def test_the_scan_would_see_it(text):
    assert list(offences(ast.parse(text)))


@pytest.mark.parametrize("text", ["np.load(p, allow_pickle=False)", "yaml.safe_load(text)", "model.eval()", "re.compile('a')"])
def test_the_scan_lets_the_rest_pass(text):
    assert list(offences(ast.parse(text))) == []


def test_configs_hold_no_program():
    """`!!python/object/apply` and the like are refused by the safe loader."""
    from robotini_ray.config import ConfigError, load_config

    path = ROOT / "launch" / "quickstart.yaml"
    assert load_config(path, {}) and not re.search(r"!!python", path.read_text())
    with pytest.raises(ConfigError):
        load_config(None, {"run.seed": "!!python/object/apply:os.getpid []"})


def test_tensorboard_listens_to_this_machine_only():
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "/tensorboard" in line)
    assert "--host 127.0.0.1" in line and "bind_all" not in line
