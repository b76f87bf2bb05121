"""The page as text: everything of a report's content in one HTML file that loads nothing."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qmoe.report.content import Content, tally
from qmoe.report.glance import glance
from qmoe.report.hardware import alike
from qmoe.report.script import script
from qmoe.report.sections import MOST_DRAWN
from qmoe.report.sensitivity import FIGURES
from qmoe.report.tables import WIDTH
from qmoe.report.words import (
    counted,
    inside,
    interval,
    number,
    percent,
    seconds,
    source_label,
    typeset,
    written,
)
from qmoe.stats import MARGIN
from qmoe.trial import FEWEST_TRIALS


def render(content: Content) -> str:
    """The page."""
    parts = content.parts
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            content=content,
            runs=content.runs,
            commands=content.commands,
            sections=content.sections,
            answers=glance(content),
            words=content.words,
            cards=content.cards,
            margin=MARGIN,
            fewest=FEWEST_TRIALS,
            most_drawn=MOST_DRAWN,
            sources=[source_label(source) for source in content.sources],
            hardware=content.hardware,
            targets=parts.targets,
            devices=parts.devices,
            volumetric=parts.volumetric,
            sensitivity=parts.sensitivity,
            sensitivity_figures=FIGURES,
            noise=parts.noise,
            pictured=content.pictured,
            experiments=parts.hardware,
            alike=alike(parts.hardware),
            phases=tuple(dict.fromkeys(phase for each in parts.hardware for phase in each.seconds)),
            experiment=content.experiments,
            warnings=content.warnings,
            tables=tuple(content.tables()),
            total=content.models,
            plot_width=WIDTH,
        )
    )


def environment() -> Environment:
    """Templates with the page's filters; everything that is not marked as safe is escaped."""
    environment = Environment(
        loader=PackageLoader("qmoe.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    environment.filters["written"] = written
    environment.filters["percent"] = percent
    environment.filters["inside"] = inside
    environment.filters["typeset"] = typeset
    environment.filters["counted"] = counted
    environment.filters["seconds"] = seconds
    environment.filters["source"] = source_label
    environment.filters["tally"] = tally
    own = script()
    # ours, and without any part that would end its element; whatever else the page shows is escaped
    environment.globals["script"] = Markup(own.text)
    environment.globals["script_source"] = own.source
    environment.globals["style"] = Markup(environment.get_template("page.css").render())
    return environment
