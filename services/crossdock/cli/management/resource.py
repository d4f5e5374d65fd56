"""Entries of one kind that the API manages: their commands, and how they look."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Annotated, Any, NamedTuple, get_args

import typer

from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import Management, open_management
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_entry, show_json, show_rows
from crossdock.kernel.process.errors import ProcessError

Fields = Mapping[str, Any]
"""An entry as the API shows it."""
Command = Callable[..., Any]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


Show = Callable[..., None]
"""A function of a value and `as_json`."""
Cell = str | Callable[[Fields], object]
NO_TERMINAL = "cannot ask for {}: stdin is not a terminal; pass {}"
NO_NAMES: Mapping[str, Any] = {}


class OptionSpec(NamedTuple):
    """An option as a row of a table: the type of its value, its name, its help."""

    takes: Any
    name: str
    help: str
    metavar: str | None = None
    least: int | None = None


def with_options(
    options: Mapping[str, Any], *, required: bool = False
) -> Callable[[Command], Command]:
    """Give a function `options`, each an OptionSpec or an annotation, in the place of its `**` argument."""

    def decorate(function: Command) -> Command:
        parameters: list[Parameter] = []
        for own in inspect.signature(function).parameters.values():
            if own.kind is not Parameter.VAR_KEYWORD:
                parameters.append(own)
                continue
            parameters += [_option(name, option, required) for name, option in options.items()]
        return _signed(function, parameters)

    return decorate


def _option(name: str, given: Any, required: bool) -> Parameter:
    """Return an option that is False or None if it is not given."""
    annotation: Any = given
    if isinstance(given, OptionSpec):
        option = typer.Option(given.name, help=given.help, metavar=given.metavar, min=given.least)
        annotation = Annotated[given.takes, option]
    is_flag = get_args(annotation)[0] is bool
    unset = False if is_flag else None
    default = Parameter.empty if required and not is_flag else unset
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _signed(function: Command, parameters: Sequence[Parameter]) -> Command:
    named = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters]
    function.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # for typer
    return function


def _heading(field: str) -> str:
    return field.replace("_usd", " USD").removesuffix("_at")


def _cell(entry: Fields, cell: Cell) -> object:
    return entry[cell] if isinstance(cell, str) else cell(entry)


class Resource:
    """One kind of entry.

    `columns` are those of its table: a field, or a heading with a field or a function of the entry. `names` are the
    arguments that name one entry; `parts` makes the end of its address from them.
    """

    def __init__(
        self,
        place: str,
        *,
        help: str,  # typer's word
        columns: Sequence[str | tuple[str, Cell]] = (),
        folded: str = "",
        plural: str | None = None,
        names: Mapping[str, Any] = NO_NAMES,
        parts: Callable[..., Sequence[str]] = lambda _, **names: tuple(names.values()),
        show: Show = show_entry,
    ) -> None:
        self.place = place
        self.app = typer.Typer(help=help, no_args_is_help=True)
        self._columns = [(_heading(one), one) if isinstance(one, str) else one for one in columns]
        self._folded = folded
        self._plural = plural or place
        self._names = names
        self._parts = parts
        self._show = show

    def path(self, management: Management, **names: Any) -> tuple[str, ...]:
        return (self.place, *self._parts(management, **names))

    def show_all(self, value: Any, *, as_json: bool) -> None:
        if as_json:
            show_json(value)
        elif value:
            headings = [heading for heading, _ in self._columns]
            rows = [[_cell(entry, cell) for _, cell in self._columns] for entry in value]
            show_rows(headings, rows, folded=self._folded)
        else:
            sys.stderr.write(f"no {self._plural}\n")

    def command(
        self, name: str, *, show: Show | None = None, **settings: Any
    ) -> Callable[[Command], Command]:
        """Make a command of a function whose first argument is the API's client. It shows the result."""
        display = show or self._show

        def decorate(function: Command) -> Command:
            def run(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None, **given: Any) -> None:  # fmt: skip
                with open_management(ctx, data_dir_) as management:
                    display(function(management, **given), as_json=as_json)

            ctx, *common, _ = inspect.signature(run).parameters.values()
            _, *own = inspect.signature(function).parameters.values()
            described = {"help": inspect.getdoc(function)} | settings
            self.app.command(name, **described)(_signed(run, [ctx, *own, *common]))
            return function

        return decorate

    def add_list(self, help: str) -> None:
        def list_(management: Management) -> Any:
            return management.listed(self.place)

        self.command("list", help=help, show=self.show_all)(list_)

    def add_show(self, help: str) -> None:
        @self.command("show", help=help)
        @with_options(self._names, required=True)
        def _(management: Management, **names: Any) -> Any:
            return management.entry(*self.path(management, **names))

    def add_removal(
        self,
        verb: str,
        help: str,
        question: Callable[[Fields], str],
        *,
        names: Mapping[str, Any] | None = None,
        find: Callable[..., Fields] = Management.entry,
        options: Mapping[str, Any] = NO_NAMES,
    ) -> None:
        """Add a command that removes an entry. It asks `question` first, unless --yes is given.

        `options` are arguments of `Management.delete`.
        """
        done = f"{verb.removesuffix('e')}ed"

        def shown(value: Any, *, as_json: bool) -> None:
            if as_json:
                show_json(value)
            else:
                sys.stderr.write(f"{done}\n")

        @self.command(verb, help=help, show=shown)
        @with_options({**(names or self._names), **options}, required=True)
        def _(management: Management, is_sure: YesOption = False, **given: Any) -> Any:
            settings = {name: given.pop(name) for name in options}
            if not is_sure and not sys.stdin.isatty():
                raise ProcessError(NO_TERMINAL.format("confirmation", "--yes"))
            path = self.path(management, **given)
            if not is_sure:
                _ask(f"{verb} {question(find(management, *path))}?", f"not {done}")
            return management.delete(*path, **settings)


def _ask(question: str, refused: str) -> None:
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise ProcessError(refused)
