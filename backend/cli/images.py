"""`cisterna image`: uploads with progress, label images, what is said of an image."""

import tempfile
import uuid
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import tifffile
import typer
from rich.progress import Progress, TaskID

from backend.cli.progress import bars
from backend.cli.projects import Project
from backend.cli.session import Session, Shown, given, rest
from backend.client import ClientError
from backend.domain.states import ImageState, Split
from backend.schemas.image import ImageEdit, ImageView

app = typer.Typer(help="Images and label images.", rich_markup_mode=None)
Image = Annotated[uuid.UUID, typer.Argument(help="Id of the image.")]
Map = Annotated[
    str | None,
    typer.Option(
        "--map", help="What label values mean here, such as 2=mitochondria,5=membrane."
    ),
]
LABEL_ENDINGS = (".png", ".tif", ".tiff")


@app.command("add")
@rest("id name state height width pixel_nm split")
def add(
    here: Session,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    project: Annotated[str, typer.Option(help="Slug or id of the project.")],
    pages: Annotated[
        bool, typer.Option("--pages", help="Upload each page of a TIFF as an image.")
    ] = False,
    pixel_nm: Annotated[float | None, typer.Option(help="Pixel size in nm.")] = None,
    donor: Annotated[str | None, typer.Option(help="Pseudonym of the donor.")] = None,
    group: Annotated[str | None, typer.Option(help="Block or session.")] = None,
    split: Annotated[Split, typer.Option()] = Split.POOL,
    labels: Annotated[
        Path | None,
        typer.Option(exists=True, help="Label image, or a folder of STEM.png files."),
    ] = None,
    map: Map = None,
) -> Shown:
    """Upload images, wait until they are ready, and import their labels if given."""
    if labels is not None and labels.is_file() and (len(files) > 1 or pages):
        raise ClientError(
            "One label image for many images: give --labels a folder with one each."
        )
    added: list[ImageView] = []
    with bars() as progress:
        for file in chain.from_iterable(_parts(path, pages) for path in files):
            bar = progress.add_task(file.name, total=file.stat().st_size, said="")
            image = here.service.images.upload(
                project,
                file,
                pixel_nm=pixel_nm,
                donor=donor,
                group=group,
                split=split,
                on_progress=partial(_move, progress, bar),
            )
            progress.update(bar, said="decoding")
            image = here.service.images.wait(image.id)
            if labels is not None:
                progress.update(bar, said="labels")
                _import(here, image, labels, map)
            progress.update(bar, said="ready")
            added.append(image)
    return added


def _move(progress: Progress, bar: TaskID, sent: int, total: int) -> None:
    progress.update(bar, completed=sent, total=total)


@app.command("labels")
@rest()
def import_labels(
    here: Session,
    image: Image,
    file: Annotated[Path, typer.Argument(exists=True)],
    map: Map = None,
    y: int = 0,
    x: int = 0,
    complete_for: Annotated[
        str | None,
        typer.Option(help="Labels of which every pixel is marked, or all."),
    ] = None,
) -> Shown:
    """Import a label image for an image, or for the region that begins at y, x."""
    return here.service.images.import_labels(
        image,
        file,
        value_map=map,
        complete_for=complete_for,
        y=y,
        x=x,
    )


@app.command("list")
@rest("id name state height width pixel_nm donor split")
def list_images(
    here: Session,
    project: Project,
    state: ImageState | None = None,
    split: Split | None = None,
) -> Shown:
    """List a project's images."""
    return here.service.images.list(project, state=state, split=split)


@app.command("show")
@rest()
def show(here: Session, image: Image) -> Shown:
    """Show one image."""
    return here.service.images.get(image)


@app.command("edit")
@rest()
def edit(
    here: Session,
    image: Image,
    name: str | None = None,
    pixel_nm: float | None = None,
    donor: str | None = None,
    group: str | None = None,
    split: Split | None = None,
) -> Shown:
    """Change what is said of an image."""
    changes = given(name=name, pixel_nm=pixel_nm, donor=donor, group=group, split=split)
    if not changes:
        raise ClientError("Nothing to change: give at least one option.")
    before = here.service.images.get(image)
    return here.service.images.edit(before, ImageEdit(**changes))


@app.command("delete")
@rest()
def delete(here: Session, image: Image) -> Shown:
    """Delete an image for good: bytes, masks and predictions."""
    here.service.images.delete(image)
    return f"Image {image} is deleted."


def _import(here: Session, image: ImageView, labels: Path, text: str | None) -> None:
    file = labels if labels.is_file() else label_file(labels, image.name)
    here.service.images.import_labels(image.id, file, value_map=text)


def label_file(folder: Path, image_name: str) -> Path:
    """Return the label image that belongs to an image, by the stem of its name."""
    stem = Path(image_name).stem
    for ending in LABEL_ENDINGS:
        if (file := folder / f"{stem}{ending}").is_file():
            return file
    raise ClientError(f"{folder} holds no {stem}.png or .tif for {image_name}.")


def _parts(file: Path, pages: bool) -> Iterator[Path]:
    """Yield the file, or its pages one by one, each as a file of its own."""
    if not pages:
        yield file
        return
    try:
        with (
            tifffile.TiffFile(file) as tiff,
            tempfile.TemporaryDirectory(prefix="cisterna-pages-") as folder,
        ):
            for number in range(len(tiff.pages)):
                page = tiff.pages[number].aspage()
                part = Path(folder) / f"{file.stem}-page{number + 1:04d}.tif"
                tifffile.imwrite(
                    part,
                    page.asarray(),
                    resolution=page.resolution,
                    resolutionunit=page.resolutionunit,
                    compression="zlib",
                )
                yield part
                part.unlink()
    except tifffile.TiffFileError as error:
        raise ClientError(f"{file} is no TIFF file, so it has no pages.") from error
