"""Files: whole or not at all, the same from Python and from the command line, and never over something by accident."""

import gc
import gzip
import itertools
import json
import resource
import shutil

import pytest
import yaml

import exchange_kit as kit
import wardgan as wg
from wardgan.cli import exchange
from wardgan.errors import DigestError, OutputError, TrustError, UsageError
from wardgan.exchange.write import CHUNK


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Releases of all cases with their mapping files."""
    home = tmp_path_factory.mktemp("releases")
    for name, (schema, concepts) in kit.CASES.items():
        kit.released(schema, home / f"{name}.hgan")
        (home / f"{name}.yaml").write_text(yaml.safe_dump(concepts), encoding="utf-8")
    return home


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def sample(case, output, form="fhir", n=12, *more, code=0):
    words = [
        "sample",
        f"{case}.hgan",
        "-n",
        n,
        "--concepts",
        f"{case}.yaml",
        "-o",
        output,
        "--seed",
        4,
        "--format",
        form,
    ]
    return kit.run(*words, *more, code=code)


@pytest.mark.parametrize("case", kit.CASES)
def test_the_patients_are_those_of_a_table(home, case):
    done = sample(case, "p.ndjson", "fhir", 12, "--json")
    told, concepts = json.loads(done.stdout), kit.bound(case)
    found = kit.read_bundles("p.ndjson")
    assert told["patients"] == len(found) == 12
    kit.judge_bundle(found[0])
    same = wg.load(f"{case}.hgan").draw(12, seed=4)
    assert kit.fhir_cells(found, concepts) == kit.cells(same, concepts)
    assert told["counts"]["Patient"] == 12
    assert sum(told["counts"].values()) == sum(len(bundle["entry"]) for bundle in found)
    sample(case, "omop", "omop", 12) if concepts.first("age", "birth") or concepts.year_of_birth else None
    if (home / "omop").exists():
        assert kit.omop_cells(kit.judge_omop("omop"), concepts) == kit.cells(same, concepts)


def test_python_writes_the_same_bytes(home):
    sample("mixed", "a.ndjson")
    made = wg.export("mixed.hgan", 12, "b.ndjson", kit.MIXED_CONCEPTS, seed=4)
    assert (home / "a.ndjson").read_bytes() == (home / "b.ndjson").read_bytes()
    assert (made.patients, made.path.name, made.unmapped) == (12, "b.ndjson", ())
    sample("mixed", "one", "omop")
    wg.export("mixed.hgan", 12, "two", "mixed.yaml", form="omop", seed=4)
    assert {file.name: file.read_bytes() for file in (home / "one").iterdir()} == {
        file.name: file.read_bytes() for file in (home / "two").iterdir()
    }
    assert wg.export("mixed.hgan", 5, "c.ndjson", "mixed.yaml").patients == 5  # with a seed of its own


def test_a_folder_has_a_file_for_each_type_of_resource(home):
    sample("mixed", "bundles.ndjson")
    sample("mixed", "bulk")
    apart = {}
    for file in (home / "bulk").iterdir():
        found = kit.read_bundles(file)
        assert {one["resourceType"] for one in found} == {file.stem}
        apart |= {(one["resourceType"], one["id"]): one for one in found}
    whole = [one for bundle in kit.read_bundles("bundles.ndjson") for one in kit.resources(bundle)]
    assert {(one["resourceType"], one["id"]): one for one in whole} == apart
    sample("mixed", "nobody", "fhir", 0)
    assert [file.name for file in (home / "nobody").iterdir()] == ["Patient.ndjson"]


def test_bundles_can_be_compressed_and_the_bytes_are_the_same_each_time(home):
    sample("mixed", "plain.ndjson")
    for name in ("one.ndjson.gz", "two.ndjson.GZ"):
        kit.run("sample", "mixed.hgan", "-n", 12, "--concepts", "mixed.yaml", "-o", name, "--seed", 4)
        assert gzip.decompress((home / name).read_bytes()) == (home / "plain.ndjson").read_bytes()
    assert (home / "one.ndjson.gz").read_bytes() == (home / "two.ndjson.GZ").read_bytes()


def test_many_patients_come_in_chunks(home):
    """What is written does not hang on how many are drawn, nor on where a chunk ends."""
    sample("events", "many.ndjson", "fhir", CHUNK + 3)
    sample("events", "few.ndjson", "fhir", CHUNK - 1)
    many, few = ((home / name).read_bytes().splitlines() for name in ("many.ndjson", "few.ndjson"))
    assert len(many) == CHUNK + 3
    assert many[: CHUNK - 1] == few


def test_conditions_are_met_and_told(home):
    done = sample("mixed", "p.ndjson", "fhir", 20, "--where", "age=30..40", "--where", "sex=f")
    assert "Conditions: " in done.stdout
    patients = [kit.resources(bundle)[0] for bundle in kit.read_bundles("p.ndjson")]
    assert {patient["gender"] for patient in patients} == {"female"}
    assert all(1980 <= int(patient["birthDate"]) <= 1990 for patient in patients)
    found = wg.export("mixed.hgan", 20, "q.ndjson", "mixed.yaml", where={"age": (30, 40), "sex": "f"}, seed=4)
    assert (home / "p.ndjson").read_bytes() == (home / "q.ndjson").read_bytes()
    assert found.counts["Patient"] == 20


def test_what_is_lost_is_named(home):
    (home / "mixed.yaml").write_text(
        "reference: 2020-01-01\ncolumns: {age: age, bmi: measurement, site: ~, dead: {as: observation}}"
    )
    told = json.loads(sample("mixed", "p.ndjson", "fhir", 5, "--json").stdout)
    assert told["unmapped"] == [
        name
        for name in [*kit.MIXED["table"], *kit.MIXED["visits"]["columns"]]
        if name not in ("age", "bmi", "site", "dead")
    ]
    assert told["notices"] == [
        f"Not there, because the mapping file does not mention them: {', '.join(told['unmapped'])}. Write `NAME: ~` to leave one out.",
        "Without a code, in words only: dead.",
    ]
    assert "Without a code, in words only: dead." in sample("mixed", "q.ndjson").stdout


def test_the_draft_of_a_release_can_be_used_as_it_is(home):
    for case in kit.CASES:
        told = json.loads(kit.run("concepts", f"{case}.hgan", "-o", "draft.yaml", "--force", "--json").stdout)
        assert set(told["columns"]) | set(told["left_out"]) == {
            column.name for column in kit.bound(case).schema.columns
        }
        kit.run(
            "sample", f"{case}.hgan", "-n", 1, "-o", f"{case}.ndjson", "--concepts", "draft.yaml"
        )  # FHIR by its name
        for bundle in kit.read_bundles(f"{case}.ndjson"):
            kit.judge_bundle(bundle)
    wg.load("sprint.hgan").schema.save("schema.yaml")
    assert "A draft of what sprint-like means is in concepts.yaml." in kit.run("concepts", "schema.yaml").stdout
    assert "exists" in kit.run("concepts", "schema.yaml", code=2).stderr
    assert wg.draft_concepts(wg.load("sprint.hgan").schema) == (home / "concepts.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--format", "fhir", "-o", "p.ndjson"], "--format fhir needs --concepts FILE"),
        (["-o", "p.ndjson"], "--format fhir needs --concepts FILE"),
        (["-o", "p.csv", "--concepts", "mixed.yaml"], "is for --format fhir and --format omop; say which"),
        (["--format", "csv", "-o", "p.csv", "--concepts", "mixed.yaml"], "is for --format fhir and --format omop; say which"),
        (["--format", "fhir", "-o", "p.csv", "--concepts", "mixed.yaml"], "is no name for fhir; name it .ndjson or .ndjson.gz for a Bundle in each line"),
        (["--format", "omop", "-o", "p.csv", "--concepts", "mixed.yaml"], "is no name for omop; name a folder without an ending"),
        (["--format", "fhir", "-o", "p.ndjson", "--concepts", "mixed.yaml", "--wide"], "have no meaning for --format fhir"),
        (["--format", "omop", "-o", "p", "--concepts", "mixed.yaml", "--croissant"], "have no meaning for --format omop"),
        (["--format", "fhir", "-o", "p.ndjson", "--concepts", "mixed.yaml", "--bits", "16"], "have no meaning for --format fhir"),
        (["--format", "fhir", "-o", "p.ndjson", "--concepts", "none.yaml"], "cannot be read: No such file"),
        (["--format", "fhir", "-o", "p.ndjson", "--concepts", "sprint.yaml"], "- arm: the schema has no such column"),
        (["--format", "fhir", "-o", "p.ndjson", "--concepts", "mixed.yaml", "--site", "s"], "the generator of one hospital"),
        (["--format", "fhir", "-o", "none/p.ndjson", "--concepts", "mixed.yaml"], "does not exist; create it first"),
        (["--format", "omop", "-o", "none/p", "--concepts", "mixed.yaml"], "does not exist; create it first"),
        (["--format", "fhir", "-o", "mixed.yaml/p", "--concepts", "mixed.yaml"], "does not exist; create it first"),
        (["--format", "fhir", "-o", "p.ndjson", "--concepts", "mixed.yaml", "--where", "age=200"], "where"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_anything_is_drawn(home, words, why):
    before = sorted(path.name for path in home.iterdir())
    done = kit.run("sample", "mixed.hgan", "-n", 5, *words, code=2)
    assert why in done.stderr
    assert sorted(path.name for path in home.iterdir()) == before


def test_pages_of_a_hub_write_tables_only(home):
    done = kit.run("sample", "https://hub.example/a/b:1", "-n", 5, "-o", "p.ndjson", "--concepts", "mixed.yaml", code=2)
    assert "--concepts: pages of a hub do not know them; pull the release" in done.stderr


def test_other_files_are_never_replaced(home):
    sample("events", "p.ndjson")
    first = (home / "p.ndjson").read_bytes()
    assert "exists" in sample("events", "p.ndjson", "fhir", 5, code=2).stderr
    assert (home / "p.ndjson").read_bytes() == first
    sample("events", "p.ndjson", "fhir", 5, "--force")
    assert first.startswith((home / "p.ndjson").read_bytes())
    sample("events", "d", "omop")
    assert "exists" in sample("events", "d", "omop", 5, code=2).stderr
    sample("events", "d", "omop", 5, "--force")
    assert len(kit.read_omop("d")["person"]) == 5
    (home / "d" / "mine.txt").write_text("mine")
    assert "holds other files than synthetic OMOP tables" in sample("events", "d", "omop", 5, "--force", code=2).stderr
    assert (
        "holds other files than synthetic FHIR resources" in sample("events", "d", "fhir", 5, "--force", code=2).stderr
    )
    assert (home / "d" / "mine.txt").read_text() == "mine"
    with pytest.raises(OutputError, match="exists"):
        wg.export("events.hgan", 5, "p.ndjson", "events.yaml")


@pytest.mark.parametrize(
    ("output", "form"), [("p.ndjson", "fhir"), ("p.ndjson.gz", "fhir"), ("p", "fhir"), ("p", "omop")]
)
def test_a_full_disk_leaves_nothing(home, output, form):
    before = sorted(path.name for path in home.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        done = sample("mixed", output, form, 3_000, code=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    gc.collect()
    assert "cannot be written: File too large; nothing was changed." in done.stderr
    assert sorted(path.name for path in home.iterdir()) == before


@pytest.mark.parametrize(("output", "form"), [("p.ndjson", "fhir"), ("p", "fhir"), ("p", "omop")])
def test_ctrl_c_leaves_nothing(home, output, form, monkeypatch):
    before = sorted(path.name for path in home.iterdir())
    told = exchange._told

    def stopped(cohorts, *more):
        yield from itertools.islice(told(cohorts, *more), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(exchange, "_told", stopped)
    done = sample("stays", output, form, 5_000, code=130)
    assert "Nothing half-written was left behind" in done.stderr
    assert sorted(path.name for path in home.iterdir()) == before


def test_dates_beyond_the_calendar_leave_nothing(home):
    (home / "events.yaml").write_text("reference: 9999-06-01\ncolumns: {days: observation, died: deceased}")
    before = sorted(path.name for path in home.iterdir())
    assert "outside of the years 1 to 9999" in sample("events", "p.ndjson", code=2).stderr
    assert sorted(path.name for path in home.iterdir()) == before


def test_a_file_that_must_not_be_used_is_not_used(home):
    data = bytearray((home / "events.hgan").read_bytes())
    data[len(data) // 2] ^= 1
    (home / "bad.hgan").write_bytes(data)
    with pytest.raises((DigestError, wg.WardganError)):
        wg.export("bad.hgan", 5, "p.ndjson", "events.yaml")
    wg.new_key("k.key", name="K", trust="t.json")
    with pytest.raises(TrustError):
        wg.export("events.hgan", 5, "p.ndjson", "events.yaml", trust="t.json")
    assert not (home / "p.ndjson").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"n": -1}, "n=-1"),
        ({"form": "hl7"}, "form='hl7' is not one of fhir, omop"),
        ({"seed": -3}, "seed=-3"),
        ({"model": 3}, "model: int is not a path"),
    ],
)
def test_python_refuses_arguments_that_are_none(home, change, why):
    given = {"model": "events.hgan", "n": 5, "output": "p.ndjson", "concepts": "events.yaml"} | change
    with pytest.raises(UsageError, match=why):
        wg.export(**given)
    assert not (home / "p.ndjson").exists()


def test_images_are_refused_with_a_word(home, monkeypatch):
    opened = __import__("wardgan.cli.sample", fromlist=["opened"]).opened
    schema = wg.Schema.from_dict({"name": "x", "table": {"c": {"kind": "flag"}}, "images": {"size": [32, 32]}})

    def images(*given):
        found = opened(*given)
        return kit.changed(found, generator=kit.changed(found.generator, schema=schema, probabilities=(0.5, 0.5)))

    monkeypatch.setattr("wardgan.cli.sample.opened", images)
    done = sample("events", "p.ndjson", code=2)
    assert (
        "declares images, and FHIR and OMOP files are for tables and visits; write them as DICOM (--format dicom)."
        in done.stderr
    )


def test_a_combined_generator_writes_too_with_the_site_of_each_patient(home):
    kit.released({**kit.EVENTS, "name": "other"}, home / "other.hgan")
    wg.combine(["events.hgan", "other.hgan"], "both.hgan", name="both")
    words = [
        "sample",
        "both.hgan",
        "-n",
        40,
        "--seed",
        1,
        "-o",
        "p.ndjson",
        "--concepts",
        "c.yaml",
        "--site",
        "hospital",
    ]
    (home / "c.yaml").write_text("reference: 2020-01-01\ncolumns: {hospital: observation, born: birth}")
    kit.run(*words)
    found = kit.read_bundles("p.ndjson")
    sites = [kit.resources(bundle)[1]["valueCodeableConcept"]["text"] for bundle in found]
    assert set(sites) == {"events", "other"}
    digest = wg.inspect("both.hgan")["digest"]
    assert {tag["code"] for bundle in found for tag in bundle["meta"]["tag"]} == {"HTEST", digest}
    kit.run(*words[:-4], "--format", "omop", "--force", "--concepts", "c.yaml", "--site", "hospital", "-o", "d")
    assert kit.read_omop("d")["cdm_source"][0]["source_documentation_reference"] == f"urn:wardgan:{digest}"


def test_what_is_after_a_death_is_counted(home):
    told = json.loads(sample("mixed", "p.ndjson", "fhir", 300, "--json").stdout)
    after = seen = 0
    for bundle in kit.read_bundles("p.ndjson"):
        found = [one["resource"] for one in bundle["entry"]]
        day = next(one for one in found if one["resourceType"] == "Patient").get("deceasedDateTime")
        starts = [one["period"]["start"][:10] for one in found if one["resourceType"] == "Encounter"]
        after += sum(day is not None and start > day for start in starts)
        seen += len(starts) if day is not None else 0
    assert 0 < after < seen
    assert f"After the day of death: {after:,} of {seen:,} visits" in " ".join(told["notices"])
    tables = json.loads(sample("mixed", "omop", "omop", 300, "--json").stdout)
    assert [one for one in tables["notices"] if "After the day" in one] == [
        one for one in told["notices"] if "After the day" in one
    ]
    assert "After the day" not in sample("stays", "q.ndjson").stderr
