"""An Atom feed of a site's new results (RFC 4287); the same results make the same bytes."""

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as xml

from rmeval.errors import one_line
from rmeval.records import Result
from rmeval.reports.site.collecting import Site
from rmeval.reports.site.schema import RowRecord

ATOM = "http://www.w3.org/2005/Atom"
ENTRIES = 50  # the newest
NEVER = "1970-01-01T00:00:00+00:00"  # of a site without a result


def feed_text(site: Site) -> str:
    """Returns feed.xml. Its links are relative to it, so that a site may stand anywhere."""
    newest = sorted(site.measured(), key=lambda pair: _moment(pair[1]), reverse=True)[:ENTRIES]
    feed = xml.Element("feed", xmlns=ATOM)
    _say(feed, "title", site.title)
    _say(feed, "id", _urn(site.title))
    _say(feed, "updated", _moment(newest[0][1]) if newest else NEVER)
    xml.SubElement(feed, "link", href="index.html")
    xml.SubElement(feed, "link", rel="self", href="feed.xml")
    _say(xml.SubElement(feed, "author"), "name", site.title)
    _say(feed, "generator", "rmeval")
    for row, result in newest:
        feed.append(_entry(row, result))
    xml.indent(feed)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + xml.tostring(feed, "unicode") + "\n"


def _entry(row: RowRecord, result: Result) -> xml.Element:
    entry = xml.Element("entry")
    if row["score"] is None:
        told = "no Score"
    else:
        told = f"Score {row['score']:.1f}"
        if row["low"] is not None:
            told += f" (95 % interval {row['low']:.1f} to {row['high']:.1f})"
    _say(entry, "title", f"{row['model']} on {row['benchmark']}: {told}")
    _say(entry, "id", _urn(f"{row['page']} {row['benchmark']} {row['scores_sha256']}"))
    _say(entry, "updated", _moment(result))
    xml.SubElement(entry, "link", href=row["page"])
    _say(entry, "summary", ", ".join([told, f"{row['rows']:,} rows", row["made"], *row["notes"]]))
    return entry


def _say(parent: xml.Element, name: str, text: str) -> None:
    xml.SubElement(parent, name).text = one_line(text)


def _urn(name: str) -> str:
    """Returns an id that is always that of the same thing."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'rmeval site {name}')}"


def _moment(result: Result) -> str:
    """Returns when a result was begun, as Atom has it; what is no time is none."""
    try:
        moment = datetime.fromisoformat(result.provenance["started"])
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return NEVER
