"""The pixel size a file states, in nanometres; None when it states nothing believable.

Most programs write 72 dpi into files that have no scale at all, so only a size that an
electron microscope can have is believed.
"""

import re

_SMALLEST_NM, _LARGEST_NM = 0.01, 1000.0

_UNITS_NM = {
    "pm": 1e-3,
    "å": 0.1,
    "angstrom": 0.1,
    "nm": 1.0,
    "nanometer": 1.0,
    "µm": 1e3,
    "um": 1e3,
    "micron": 1e3,
    "microns": 1e3,
    "micrometer": 1e3,
    "mm": 1e6,
    "cm": 1e7,
    "inch": 2.54e7,
    "m": 1e9,
}
# TIFF 6.0 knows 2 and 3; 4 and 5 are what some writers add for mm and µm.
_RESOLUTION_UNITS_NM = {2: 2.54e7, 3: 1e7, 4: 1e6, 5: 1e3}


def believable(x_nm: float | None, y_nm: float | None) -> float | None:
    """Return the size if both axes agree to 1 % and an EM could have it."""
    if not x_nm or not y_nm or abs(x_nm - y_nm) > 0.01 * x_nm:
        return None
    return x_nm if _SMALLEST_NM <= x_nm < _LARGEST_NM else None


def from_png(x_per_metre: int, y_per_metre: int) -> float | None:
    """Return the pixel size of a pHYs chunk whose unit is the metre."""
    if not x_per_metre or not y_per_metre:
        return None
    return believable(1e9 / x_per_metre, 1e9 / y_per_metre)


def from_tiff(
    description: str, x_per_unit: float | None, y_per_unit: float | None, unit: int
) -> float | None:
    """Return the pixel size of a TIFF page.

    `description` is its ImageDescription (OME-XML, ImageJ's lines or anything),
    `x_per_unit` and `y_per_unit` its resolution tags, `unit` its ResolutionUnit.
    """
    if "<OME" in description:
        return _from_ome(description)
    nm = _RESOLUTION_UNITS_NM.get(unit)
    if description.startswith("ImageJ="):
        # ImageJ keeps its own unit here and leaves ResolutionUnit at "none".
        named = re.search(r"^unit=(.+)$", description, re.MULTILINE)
        nm = _unit(named[1]) if named else nm
    if nm is None or not x_per_unit or not y_per_unit:
        return None
    return believable(nm / x_per_unit, nm / y_per_unit)


def _from_ome(xml: str) -> float | None:
    # Picked by pattern: an XML parser is one more door for hostile files.
    pixels = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", xml)
    attributes = dict(
        re.findall(r"""(\w+)\s*=\s*["']([^"']*)""", pixels[1] if pixels else "")
    )
    sizes: list[float | None] = []
    for axis in "XY":
        nm = _unit(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            size = float(attributes[f"PhysicalSize{axis}"])
        except (KeyError, ValueError):
            return None
        sizes.append(size * nm if nm else None)
    return believable(*sizes)


def _unit(text: str) -> float | None:
    text = text.strip().replace("\\u00B5", "µ").replace("μ", "µ")
    text = re.sub(r"&#(?:181|xB5|956|x3BC);", "µ", text, flags=re.IGNORECASE)
    return _UNITS_NM.get(text.lower())
