# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which options stand on the command line, for those that do not go together."""

import typer

from medsam_engine.errors import InvalidArgument


def refuse_given(context: typer.Context, names: tuple[str, ...], given: str, wanted: str) -> None:
    """Refuses options that do not go with another one, even where they have their default values.

    Args:
        context: of the command.
        names: of parameters of its function.
        given: what the options were given with.
        wanted: what they are for.

    Raises:
        InvalidArgument: one of them was given.
    """
    parameters = {parameter.name: parameter for parameter in context.command.params}
    for name in names:
        option = parameters[name].opts[0]
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InvalidArgument(f"{option}: got it with {given}, expected {wanted}; leave it out")
