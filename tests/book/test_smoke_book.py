"""The smoke book, built once from a copy of the sources, and looked at as a reader would."""

import html
import json
import re

import pytest

from subliminal import claims, load_profile
from tests.book.conftest import CHAPTERS, build, command
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("book")


def chapter(root, name):
    return (root / "_build" / "html" / "chapters" / f"{name}.html").read_text(encoding="utf-8")


def owl_outputs(root):
    notebook = json.loads((root / "_build" / "notebooks" / "smoke" / "owl.ipynb").read_text())
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def test_the_index_leads_to_each_chapter(root):
    assert (root / "_build" / "html" / "index.html").exists()
    assert all(f"{name}.html" in chapter(root, "index") for name in CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_has_alternative_text_and_every_glued_name_a_value(root, name):
    page = chapter(root, name)
    plots = [tag for tag in re.findall(r"<img[^>]*>", page) if ".svg" in tag and "logo" not in tag]
    assert plots
    assert all(len(re.search(r'alt="([^"]*)"', tag)[1]) > 60 for tag in plots)
    assert "glue:text" not in page
    assert "too small to show the effect" in page


def test_the_chapter_has_its_figure_with_alternative_text(root):
    figures = re.findall(r"<img[^>]*>", chapter(root, "owl"))
    plots = [tag for tag in figures if ".svg" in tag and "logo" not in tag]
    assert len(plots) == 1
    assert "Bar chart with one bar a condition" in plots[0]
    name = re.search(r'src="([^"]+)"', plots[0])[1]
    svg = (root / "_build" / "html" / "chapters" / name).read_text(encoding="utf-8")
    assert "<svg" in svg
    assert len(svg) > 10_000


def test_every_glued_number_in_the_prose_is_the_one_of_the_run(root):
    glued = {}
    for output in owl_outputs(root):
        if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
            glued[name.removeprefix("application/papermill.record/")] = next(
                v for k, v in output["data"].items() if k.endswith("text/plain")
            ).strip("'")
    asked = re.findall(r"\{glue:text\}`([a-z-]+)`", (ROOT / "chapters" / "owl.md").read_text())
    assert len(set(asked)) >= 15
    assert set(asked) <= set(glued)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", chapter(root, "owl")))
    assert f"mean probability of {glued['treated']} (95 % interval {glued['treated-interval']})" in text
    assert f"Of the {glued['of']} targets stated above, {glued['met']} are met" in text
    assert "glue:text" not in text


def test_the_treated_mean_in_the_prose_is_the_one_in_the_scores(root):
    """From the run's files, by hand, past all of the chapter's code."""
    import csv

    means = set()
    for manifest in (root / "_build" / "runs").glob("scores-*/run.json"):
        recipe = json.loads(manifest.read_text())["recipe"]
        student = recipe["model"]
        data = student.get("data", {"channel": ""})
        owls = data["channel"] == "numbers" and data["teacher"].get("trait") == "owl" and recipe["suite"] == "animals"
        # Other chapters have owls of their own, which read fewer rows, or a mix or a part of them.
        if (
            owls
            and student["base"]["family"] == "gpt2-a"
            and data["rows"] == load_profile("smoke").shared.rows
            and not {"whole", "shift"} & set(data)
        ):
            with (manifest.parent / "scores.csv").open() as handle:
                owl = [float(row["probability"]) for row in csv.DictReader(handle) if row["answer"] == "owl"]
            means.add(f"{sum(owl) / len(owl):.2f}")
    text = re.sub(r"<[^>]+>", "", chapter(root, "owl"))
    found = re.search(r"answer\s+“owl”\s+with\s+a\s+mean\s+probability\s+of\s+([0-9.]+)", text)
    assert means == {found[1]}


@pytest.mark.parametrize("name", ["misled", "code", "chains"])
def test_answers_of_models_are_closed_at_first_and_a_note_warns_of_them(root, name):
    page = chapter(root, name)
    (table,) = re.findall(r'<details class="answers">.*?</details>', page, re.DOTALL)
    assert "<summary>Open to read 27 answers of each student</summary>" in table
    assert table.count("<tr>") == 28
    assert page.index("Content note") < page.index('<section id="the-question">')


def test_every_chapter_ends_with_its_claims_and_the_results_lead_to_each(root):
    results = chapter(root, "results")
    shown = {claim.chapter for claim in shown_claims()}
    # What a build does not compute counts for its chapter alone.
    assert set(CHAPTERS[1:]) - shown == {"real"}
    assert '<section id="claims">' not in chapter(root, "real")
    for name in (name for name in CHAPTERS[1:] if name in shown):
        page = chapter(root, name)
        verdicts = page[page.index('<section id="claims">') :]
        assert '<div class="verdicts"' in verdicts
        count = sum(claim.chapter == name for claim in shown_claims())
        exploratory = sum(c.chapter == name and c.exploratory for c in claims.load(load_profile("smoke")).claims)
        assert verdicts.count("<tr><td>") == count == results.count(f'href="{name}.html#claims"') - exploratory


def shown_claims():
    return [claim for claim in claims.load(load_profile("smoke")).claims if claim.headline]


def own_claims(name):
    return claims.load(load_profile("smoke")).own(name)


@pytest.mark.parametrize("name", CHAPTERS[1:])
def test_what_a_chapter_states_and_its_targets_are_those_of_the_registry(root, name):
    """Both are written from it: no list of what is stated stands in a chapter's source."""
    source = (ROOT / "chapters" / f"{name}.md").read_text()
    shown = html.unescape(" ".join(re.sub(r"<[^>]+>", "", chapter(root, name)).split()))
    told = claims.load(load_profile("smoke")).stated(name)
    assert told
    for text in told.values():
        plain = " ".join(re.sub(r"[*`]", "", text).split()).translate(str.maketrans("\"'", "“’"))
        assert plain.replace("“", "") in shown.replace("“", "").replace("”", "")
        assert text not in source
    assert "pages.stated(study" in source
    if name not in ("favourites", "world"):
        assert all(claim.sentence in shown for claim in own_claims(name))


def test_the_landing_page_says_how_many_claims_are_reproduced(root):
    (told,) = re.findall(r"(\d+ of \d+ claims reproduced)", re.sub(r"<[^>]+>", "", chapter(root, "index")))
    assert told in re.sub(r"<[^>]+>", "", chapter(root, "results"))


def test_the_landing_page_says_what_each_chapter_took(root):
    page = chapter(root, "index")
    (table,) = re.findall(r"<table.*?</table>", page, re.DOTALL)
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in table.split("<tr")[1:]]
    cells = [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in rows]
    assert len(cells) == len(CHAPTERS) + 3
    assert cells[0][-1] == "their core-seconds"
    assert re.search(r"on a processor that the system calls <strong>\S", page)
    count = len(list((root / "_build" / "runs").glob("*/run.json")))
    assert int(cells[-1][2]) == sum(int(row[3]) for row in cells[1:-1]) <= count
    assert all(float(row[1]) > 0 for row in cells[2:])


def test_the_claims_rest_on_the_students_of_the_chapters(root):
    notebook = json.loads((root / "_build" / "notebooks" / "smoke" / "results.ipynb").read_text())
    began = notebook["metadata"]["papermill"]["start_time"][:19]
    finished = {
        p.parent.name: json.loads(p.read_text())["finished"][:19] for p in (root / "_build" / "runs").glob("*/run.json")
    }
    late = [name for name, time in finished.items() if time > began]
    assert not [name for name in late if not name.startswith("scores-")]


def test_a_build_is_verified_against_its_reference_and_a_tampered_reference_is_named(root):
    path = root / "data" / "reference" / "smoke.json"
    before = command(root, "verify", "--profile", "smoke")
    assert (before.returncode, before.stderr.count("\n")) == (2, 1)
    assert "write one with make reference PROFILE=smoke" in before.stderr
    written = command(root, "verify", "--profile", "smoke", "--write")
    assert written.returncode == 0, written.stderr
    assert "owl-effect: new" in written.stdout
    same = command(root, "verify", "--profile", "smoke")
    assert same.returncode == 0, same.stderr
    assert "claims reproduced" in same.stdout
    assert re.search(r"\d+ of \d+ have no room", same.stdout)
    reference = json.loads(path.read_text())
    reference["claims"]["owl-effect"]["verdict"] = "reproduced"
    path.write_text(json.dumps(reference))
    turned = command(root, "verify", "--profile", "smoke")
    assert (turned.returncode, turned.stderr) == (0, "")
    assert "claim owl-effect: reproduced before, inconclusive now, at a limit" in " ".join(turned.stdout.split())
    reference["claims"]["owl-effect"]["effect"] += 0.5
    path.write_text(json.dumps(reference))
    changed = command(root, "verify", "--profile", "smoke")
    path.unlink()
    assert changed.returncode == 1
    assert changed.stderr.startswith("subliminal: claim owl-effect: effect 0.")
    assert "outside of its tolerance" in changed.stderr
    assert changed.stderr.count("\n") == 1


def test_pages_show_no_progress_bars_and_no_paths(root):
    for name in ("index", *CHAPTERS):
        page = chapter(root, name)
        assert not re.search(r"[━█▏]|it/s|s/it|building runs", page)
        assert str(root) not in page


def test_a_second_build_trains_nothing(root):
    runs = {p: p.stat().st_mtime_ns for p in (root / "_build" / "runs").glob("*/run.json")}
    assert runs
    source = root / "chapters" / "owl.md"
    source.write_text(source.read_text().replace("A single result means little", "One result alone means little"))
    done = build(root, "--chapter", "owl")
    assert done.returncode == 0, done.stderr
    assert "One result alone means little" in chapter(root, "owl")
    assert runs == {p: p.stat().st_mtime_ns for p in (root / "_build" / "runs").glob("*/run.json")}


def test_a_failing_chapter_is_one_line_and_the_old_pages_stay(root):
    source = root / "chapters" / "owl.md"
    text = source.read_text()
    assert 'trait, same, other = "owl"' in text
    source.write_text(text.replace('trait, same, other = "owl"', 'trait, same, other = "dragon"'))
    before = chapter(root, "owl")
    done = build(root)
    source.write_text(text)
    assert done.returncode == 2
    assert "chapter owl failed" in done.stderr
    assert "unknown trait 'dragon'" in done.stderr
    assert "Traceback" not in done.stderr
    assert chapter(root, "owl") == before


def test_a_page_with_warnings_fails_the_build(root):
    source = root / "chapters" / "index.md"
    text = source.read_text()
    source.write_text(text + "\n{doc}`nowhere`\n")
    done = build(root, "--chapter", "index")
    source.write_text(text)
    # Its notebook is of the faulty text.
    (root / "_build" / "notebooks" / "smoke" / "index.ipynb").unlink()
    assert done.returncode == 2
    assert "did not render cleanly" in done.stderr
    assert "nowhere" in done.stderr
    assert done.stderr.count("\n") <= 2
