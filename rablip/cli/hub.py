"""`rablip push` and `rablip merge`: to the Hub, and from an adapter to a plain model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption, check_model
from .output import one_json_object

if TYPE_CHECKING:
    from ..hub import PushPlan

__all__ = ["merge", "push"]


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model, a bundle, an adapter or an index.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="owner/name on the Hub; made where there is none.")],
    with_code: Annotated[bool, typer.Option("--with-code", help="Also the code, to load without rablip.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files; nothing is sent.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option("--revision", help="The branch; main by default.")] = None,
    message: Annotated[str | None, typer.Option("--message", help="Of the commit.")] = None,
    pull_request: Annotated[bool, typer.Option("--pull-request", help="Open a pull request instead.")] = False,
    license: Annotated[str | None, typer.Option("--license", help="For the card, such as apache-2.0.")] = None,
    base_model: Annotated[
        str | None,
        typer.Option("--base-model", help="What it was made of, an adapter's base, an index's retriever: a Hub id."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="Trained on it; may be repeated.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="What `rablip eval world --json` wrote, for the card.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Push FOLDER to REPO: safetensors, processor and a card; never pickles, code only with --with-code.

    The token is that of `hf auth login` or HF_TOKEN.
    """
    from ..hub import CardFields, list_gaps, plan_push
    from ..hub import push as send

    with one_json_object(as_json) as write:
        fields = CardFields(license=license, base_model=base_model, datasets=tuple(dataset or ()), results=results)
        plan = plan_push(folder, repo, fields=fields, with_code=with_code)
        values = {"repo": plan.repo_id, "repo_type": plan.repo_type, "kind": plan.kind, "dry_run": dry_run}
        gaps = list_gaps(plan.render_card())
        values |= {"files": plan.sizes(), "left_out": dict(plan.left_out), "gaps": gaps}
        if not as_json:
            _show(plan, dry_run)
            for gap in gaps if dry_run else ():
                typer.echo(gap)
        if not dry_run:
            commit = send(
                plan,
                private=private or None,
                revision=revision,
                commit_message=message,
                create_pr=pull_request,
            )
            values |= {"commit": commit.oid, "url": commit.pr_url or commit.commit_url}
            if not as_json:
                typer.echo(f"Pushed as commit {commit.oid}: {commit.pr_url or commit.commit_url}")
        if as_json:
            write(values)


def merge(
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="An adapter's folder, or a Hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The model folder to write.")],
    as_json: JsonOption = False,
) -> None:
    """Merge an adapter into its base model: a plain model in OUT, with its processor."""
    with one_json_object(as_json) as write:
        if out.exists() and any(out.iterdir()):
            raise FileExistsError(f"{out} holds something already. Remove it, or name another folder.")
        from ..training import merge_adapter
        from ..training.runs.adapters import load_base_processor

        source = check_model(adapter)
        model, processor = merge_adapter(source), load_base_processor(source)
        model.save_pretrained(out)
        processor.save_pretrained(out)
        write({"folder": str(out)}) if as_json else typer.echo(f"A {type(model).__name__} in {out}")


def _show(plan: PushPlan, dry_run: bool) -> None:
    sizes = plan.sizes()
    typer.echo(f"{'Would push' if dry_run else 'Pushing'} to the {plan.repo_type} repository {plan.repo_id}:")
    for name, size in sizes.items():
        typer.echo(f"{size:>14,}  {name}")
    typer.echo(f"{sum(sizes.values()):>14,}  bytes in {len(sizes)} files")
    for name, reason in plan.left_out.items():
        typer.echo(f"      left out  {name} ({reason})")
