"""Lists of rules, topologies, data sets and so on for the help of the commands.

Importing these tables imports torch, which takes seconds. Their keys, and the arguments of
functions, are therefore parsed from the source code.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from sparsebrain import locations

_KINDS = "sparsebrain.experiments.kinds"
# Arguments that are not options of a kind.
_NO_OPTION = {"seed"}
FITTED = "*"
# The options of every kind with a graph.
COMMON = ("symmetric", "null")


# The tables that other packages extend: where each is, and its group of entry points.
_OPEN = {
    "rules": ("sparsebrain.learning", "RULES", locations.RULES),
    "datasets": ("sparsebrain.experiments.datasets", "DATASETS", locations.DATASETS),
    "kinds": (_KINDS, "KINDS", locations.TOPOLOGIES),
    "nulls": ("graphs.transforms.null_models", "REWIRINGS", ""),
}


def names(table: str) -> list[str]:
    """Return the names in a table, with those of the entry points of other packages.

    Args:
        table: "rules", "datasets", "kinds" or "nulls".
    """
    module, name, group = _OPEN[table]
    return [*dict.fromkeys([*_entries(module, name), *(locations.entries(group) if group else ())])]


def rules() -> str:
    """Return the learning rules."""
    return _list(names("rules"))


def problems() -> str:
    """Return the six problems of backpropagation, and a paragraph per rule with its marks."""
    named = _value("sparsebrain.learning.problem_table", "PROBLEMS")
    marks = _entries("sparsebrain.learning.problem_table", "SOLVED")
    lines = [f"{_list(ast.literal_eval(named))}."]
    for name, rule in _entries("sparsebrain.learning", "RULES").items():
        # A class, or its location as "module:Class".
        kind = rule.id if isinstance(rule, ast.Name) else ast.literal_eval(rule).split(":")[1]
        lines.append(f"{name}: {ast.literal_eval(marks[kind])}")
    return "\n\n".join(lines)


def datasets() -> str:
    """Return the data sets."""
    return _list(names("datasets"), last="or")


def nulls() -> str:
    """Return the null models."""
    return _list(names("nulls"))


def handwriting() -> str:
    """Return the handwriting of ``one-shot``."""
    home = "sparsebrain.experiments.one_shot_study.sources"
    return _list(_entries(home, "DATASETS"), last="or")


def formats() -> str:
    """Return the suffixes of connectome files that can be read."""
    home = "graphs.io.formats"
    return _list([*_entries(home, "SAVED"), *_entries(home, "READ")], last="or")


def written_formats() -> str:
    """Return the suffixes of connectome files that can be written."""
    return _list(_entries("graphs.io.formats", "SAVED"), last="or")


def variants() -> str:
    """Return the variants of Ejima's models."""
    return _list(_entries("sparsebrain.models.ejima", "EJIMA_VARIANTS"), last="or")


def ejima_models() -> str:
    """Return Ejima's models."""
    return _list(_entries("sparsebrain.models.ejima", "EJIMA_MODELS"))


def null_models() -> str:
    """Return the null models of connectomes."""
    return _list(_entries("graphs.transforms.null_models", "NULL_MODELS"), last="or")


def studies() -> str:
    """Return the studies of error diffusion."""
    module = "sparsebrain.experiments.error_diffusion_study.settings"
    return _list([*_entries(module, "STUDIES"), "xor"], last="or")


def tasks() -> str:
    """Return the tasks with rewards."""
    return _list(_entries("sparsebrain.reward", "TASKS"), last="or")


def equilibrium() -> str:
    """Return the options of loops to an equilibrium."""
    return " ".join(
        name
        for name in _fields("sparsebrain.equilibrium.settling", "Equilibrium")
        if name != "lipschitz"
    )


def spiking() -> str:
    """Return the options of spiking neurons."""
    return " ".join(_fields("sparsebrain.experiments.neuron_options", "SpikingOptions"))


def kinds() -> str:
    """Return a paragraph per topology with its options; * marks fitted options."""
    own = options_of_kinds()
    others: dict[str, list[str]] = {name: [] for name in names("kinds") if name not in own}
    return "\n\n".join(
        f"{name}: {' '.join(options)}" if options else name
        for name, options in {**own, **others}.items()
    )


TEXTS: Mapping[str, Callable[[], str]] = {
    "rules": rules,
    "problems": problems,
    "datasets": datasets,
    "handwriting": handwriting,
    "nulls": nulls,
    "formats": formats,
    "written_formats": written_formats,
    "variants": variants,
    "ejima_models": ejima_models,
    "null_models": null_models,
    "studies": studies,
    "tasks": tasks,
    "equilibrium": equilibrium,
    "spiking": spiking,
    "kinds": kinds,
}
"""What replaces ``{name}`` in the help of a command."""


def fill(text: str) -> str:
    """Replace each ``{name}``, and put each paragraph on one line."""
    for name, make in TEXTS.items():
        if (place := f"{{{name}}}") in text:
            text = text.replace(place, make())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _list(names: Iterable[str], *, last: str = "and") -> str:
    *most, end = names
    return f"{', '.join(most)} {last} {end}" if most else end


def options_of_kinds() -> dict[str, list[str]]:
    """Return the options of each topology of this package; * marks fitted options."""
    found = {}
    for name, call in _entries(_KINDS, "KINDS").items():
        if not isinstance(call, ast.Call):
            raise TypeError(f"KINDS[{name!r}] must be a call; write Kind(generator, ...)")
        generator = ast.unparse(call.args[0])
        fitted = [ast.literal_eval(each.value) for each in call.keywords if each.arg == "fitted"]
        found[name] = [
            f"{option}{FITTED}" if option in fitted else option
            for option in _arguments(_KINDS, generator)
            if option not in _NO_OPTION
        ]
    return found


@functools.cache
def _source(module: str) -> ast.Module:
    """Parse the source of a module; only its top-level package is imported."""
    package, *inner = module.split(".")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the source of {module} is missing; install the package again")
    path = Path(spec.origin).parent.joinpath(*inner)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _value(module: str, name: str) -> ast.expr:
    """Return what is assigned to a name."""
    for statement in _source(module).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            assert statement.value is not None
            return statement.value
    raise KeyError(f"{module} has no table {name}.")


def _entries(module: str, table: str) -> dict[str, ast.expr]:
    """Return the keys and values of the first dict in the assignment to a name."""
    written = next(each for each in ast.walk(_value(module, table)) if isinstance(each, ast.Dict))
    return {
        str(ast.literal_eval(key)): value
        for key, value in zip(written.keys, written.values, strict=True)
        if key is not None
    }


def _arguments(module: str, name: str) -> list[str]:
    """Return the arguments of a function by its dotted name in a module."""
    first, _, rest = name.partition(".")
    # graphs/__init__.py imports its names for type checkers only, under an if.
    statements = [
        each
        for outer in _source(module).body
        for each in (outer.body if isinstance(outer, ast.If) else [outer])
    ]
    # Overloads precede the function, so the search starts at the end.
    for statement in reversed(statements):
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            arguments = statement.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            return [argument.arg for argument in every]
        imports = isinstance(statement, ast.Import | ast.ImportFrom) and first in {
            each.name for each in statement.names
        }
        if imports and isinstance(statement, ast.Import):
            return _arguments(first, rest)
        if imports and isinstance(statement, ast.ImportFrom):
            inner = f"{statement.module}.{first}" if rest else str(statement.module)
            return _arguments(inner, rest or first)
    raise KeyError(f"{module} has no function {name}.")


def _fields(module: str, name: str) -> list[str]:
    """Return the fields of a dataclass."""
    for statement in _source(module).body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return [
                each.target.id
                for each in statement.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
    raise KeyError(f"{module} has no class {name}.")
