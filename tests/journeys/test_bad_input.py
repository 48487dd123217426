"""Whatever is wrong with what is given: a clear message, the right exit code, no patient's value, nothing left."""

import errno
import gc
import json
import os
import re
import stat

import numpy as np
import pandas as pd
import pytest
import yaml

import wardgan as wg
from release_kit import changed, forge
from wardgan.privacy.ledger import Ledger

OVERRIDE = ("--override", "A. Tester: no dossier in a test")

resource = pytest.importorskip("resource", reason="only Unix limits the size of a process's files")

# Values of patients that no message may repeat.
VALUE, LEVEL = "4711", "Xanadu"


def refused(clinic, *words, phrase, code=2, new=()):
    """Runs a verb that must refuse; nothing may appear in the folder but `new`."""
    before = clinic.files()
    done = clinic.run(*words)
    text = done.stdout + done.stderr
    assert done.exit_code == code, text
    assert phrase in text.replace("\n", " ")
    for secret in (VALUE, LEVEL, "Quixote"):
        assert secret not in text
    assert "Traceback" not in text
    assert clinic.files() - before == set(new)
    return done


def noticed(clinic, phrase):
    """Runs a check that tells of something that stops no private fit."""
    done = clinic.run("check", clinic.data, clinic.schema, "--json")
    assert done.exit_code == 0, done.output
    assert phrase in done.stdout


def fit(clinic, *words, schema=None):
    return ("fit", clinic.data, schema or clinic.schema, "-o", clinic.folder / "run", *(words or ("--epsilon", 4)))


def rest(clinic, verb):
    """Gives what comes after the data."""
    words = {"init": ("-o", clinic.folder / "x.yaml"), "check": (clinic.schema,)}
    return words.get(verb) or fit(clinic, "--privacy", "none")[2:]


def declare(clinic, **changes):
    """Changes columns of the schema; `None` takes a key away."""
    found = yaml.safe_load(clinic.schema.read_text(encoding="utf-8"))
    for name, fields in changes.items():
        if isinstance(fields, dict):
            column = found["table"].setdefault(name, {}) | fields
            found["table"][name] = {key: value for key, value in column.items() if value is not None}
        else:
            found[name] = fields
    clinic.schema.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")


def rewrite(clinic, frame):
    frame.to_csv(clinic.data, index=False)


# --- the file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["init", "check", "fit"])
def test_the_file_is_missing(clinic, verb):
    words = rest(clinic, verb)
    clinic.data.unlink()
    refused(clinic, verb, clinic.data, *words, phrase="is not a file")


def test_the_schema_is_missing(clinic):
    clinic.schema.unlink()
    refused(clinic, "check", clinic.data, clinic.schema, phrase="cannot be read")


def test_the_table_and_the_schema_are_exchanged(clinic):
    refused(clinic, "check", clinic.schema, clinic.data, phrase="is a table by its name")
    clinic.data.rename(clinic.folder / "patients.data")
    for words in (("plan", "--epsilon", 3), ("check", clinic.schema)):
        refused(clinic, *words, clinic.folder / "patients.data", phrase="schema")


def test_a_line_without_names_is_not_shown(clinic):
    head, _, rows = clinic.data.read_text(encoding="utf-8").partition("\n")
    clinic.data.write_text(rows, encoding="utf-8")
    assert "patient_id" in head
    refused(clinic, "check", clinic.data, clinic.schema, phrase="its first line must name the columns")
    words = ("init", clinic.data, "-o", clinic.folder / "x.yaml")
    refused(clinic, *words, "--patient", "patient_id", phrase="its first line must name the columns")


@pytest.mark.parametrize("verb", ["init", "check", "fit"])
def test_the_file_is_not_utf_8(clinic, verb):
    words = rest(clinic, verb)
    clinic.data.write_bytes("patient_id,arm,age,smoker,bmi\n1,größer,50,no,20\n".encode("latin-1"))
    refused(clinic, verb, clinic.data, *words, phrase="is not UTF-8")


@pytest.mark.parametrize("verb", ["init", "check"])
def test_the_delimiter_is_another_one(clinic, verb):
    words = rest(clinic, verb)
    clinic.frame().to_csv(clinic.data, index=False, sep=";")
    refused(clinic, verb, clinic.data, *words, phrase="delimiter=';'")
    refused(clinic, verb, clinic.data, *words, "--delimiter", ";;", phrase="is not one character")
    assert clinic.run(verb, clinic.data, *words, "--delimiter", ";").exit_code == 0


@pytest.mark.parametrize("verb", ["init", "check"])
def test_a_column_is_there_twice(clinic, verb):
    words = rest(clinic, verb)
    head, _, rows = clinic.data.read_text(encoding="utf-8").partition("\n")
    clinic.data.write_text(head.replace("bmi", "age") + "\n" + rows, encoding="utf-8")
    refused(clinic, verb, clinic.data, *words, phrase="have the same name; rename one of them")


def test_the_file_is_empty_or_no_table(clinic):
    clinic.data.write_text("", encoding="utf-8")
    refused(clinic, "check", clinic.data, clinic.schema, phrase="is empty; the first line must name the columns")
    clinic.data.write_text("patient_id,arm,age,smoker,bmi\n", encoding="utf-8")
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="no patient")
    told = json.loads(clinic.run("check", clinic.data, clinic.schema, "--json").stdout)["findings"]
    assert [found["rule"] for found in told] == ["the file has a patient"]
    refused(clinic, "init", clinic.data, "-o", clinic.folder / "x.yaml", phrase="no row")
    (clinic.folder / "p.parquet").write_bytes(b"no Parquet")
    refused(clinic, "check", clinic.folder / "p.parquet", clinic.schema, phrase="cannot be read as Parquet")


# --- the rows -------------------------------------------------------------------------------------------------------


def test_the_patient_key_is_absent(clinic):
    rewrite(clinic, clinic.frame().drop(columns="patient_id"))
    refused(clinic, "check", clinic.data, clinic.schema, phrase="'patient_id' of the schema is not in the file")
    refused(
        clinic, "init", clinic.data, "--patient", "nobody", "-o", clinic.folder / "x.yaml", phrase="patient='nobody'"
    )


def test_the_patient_key_is_empty(clinic):
    frame = clinic.frame()
    frame.loc[[3, 8], "patient_id"] = ""
    rewrite(clinic, frame)
    done = refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase="every row names its patient")
    assert finding(done, "patient_id")["rows"] == [4, 9]
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="every row names its patient")


def finding(done, column):
    return next(
        found for found in json.loads(done.stdout)["findings"] if found["column"] == column and found["blocking"]
    )


@pytest.mark.parametrize(
    ("column", "value", "phrase"),
    [
        ("age", VALUE, "within the declared bounds"),
        ("bmi", "-" + VALUE, "within the declared bounds"),
        ("arm", LEVEL, "the level is not declared"),
        ("age", LEVEL, "is a number"),
        ("smoker", LEVEL, "is yes or no"),
        ("age", VALUE + ".5", "is a whole number"),
        ("arm", "", "no cell is missing"),
    ],
)
def test_a_value_breaks_the_schema(clinic, column, value, phrase):
    frame = clinic.frame()
    frame[column] = frame[column].astype(object)
    frame.loc[[10, 20, 30], column] = value
    rewrite(clinic, frame)
    done = refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase=phrase)
    found = [row for row in json.loads(done.stdout)["findings"] if phrase in row["rule"]]
    assert [(row["column"], row["count"], row["rows"], row["blocking"]) for row in found] == [
        (column, 3, [11, 21, 31], True)
    ]
    refused(clinic, "check", clinic.data, clinic.schema, phrase="cannot be used yet")
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="broken 3 times (row 11, 21, 31)")


def test_one_broken_rule_is_one(clinic):
    frame = clinic.frame()
    frame.loc[3, "age"] = VALUE
    rewrite(clinic, frame)
    refused(clinic, "check", clinic.data, clinic.schema, phrase="4 columns; 1 rule is broken, so the file")
    frame.loc[3, "arm"] = LEVEL
    rewrite(clinic, frame)
    refused(clinic, "check", clinic.data, clinic.schema, phrase="4 columns; 2 rules are broken, so the file")


def test_a_form_of_another_country_is_told(clinic):
    frame = clinic.frame()
    frame["bmi"] = frame["bmi"].str.replace(".", ",")
    rewrite(clinic, frame)
    done = refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase="decimal commas")
    assert "It is empty" not in done.stdout


def test_invalid_is_an_unknown_word(clinic):
    refused(clinic, *fit(clinic, "--privacy", "none", "--invalid", "mend"), phrase="not one of refuse, clip, drop")


def test_a_class_has_no_patient(clinic):
    declare(clinic, arm={"levels": ["standard", "intensive", "third"]})
    noticed(clinic, "the class arm=third has patients")
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="arm=third has no patient")


def test_two_labels_that_never_come_together_are_no_obstacle(clinic):
    """Three patients of a stage, none of whom died: there is no level that could be taken out."""
    made = clinic.frame()
    declare(clinic, arm={"levels": ["standard", "intensive", "third"]}, died={"kind": "flag", "label": True})
    rare = made.index < 3
    rewrite(clinic, made.assign(arm=made["arm"].mask(rare, "third"), died=(made.index % 2 == 0) & ~rare))
    for words in (("--privacy", "none"), ("--epsilon", 8)):
        done = clinic.run("fit", clinic.data, clinic.schema, "-o", clinic.folder / words[0], *words)
        assert done.exit_code == 0, done.output


def test_a_column_is_learned_on_the_command_line(clinic):
    """The run ends with its notes and its bill, not with an error behind a budget that is spent."""
    declare(clinic, age={"learn": True, "low": None, "high": None})
    for words in (("--epsilon", 4), ("--privacy", "none")):
        done = clinic.run("fit", clinic.data, clinic.schema, "-o", clinic.folder / words[0], *words, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["tensor_bytes"] > 0


def test_a_label_has_one_level(clinic):
    declare(clinic, arm={"levels": ["standard"]})
    refused(clinic, "plan", clinic.schema, "--epsilon", 3, phrase="arm: a label with one level tells nobody apart")


def test_a_level_is_unknown_to_the_schema(clinic):
    frame = clinic.frame()
    frame.loc[[4, 9, 11], "arm"] = LEVEL
    rewrite(clinic, frame)
    done = refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase="the level is not declared")
    told = finding(done, "arm")
    assert (told["count"], told["rows"]) == (3, [5, 10, 12])
    assert told["way_out"] == "Add the level to the schema, or mend the rows."
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="arm: the level is not declared; broken 3 times")


def test_a_rule_can_never_hold(clinic):
    declare(clinic, rules=["age > 110"])
    refused(clinic, "check", clinic.data, clinic.schema, phrase="can never hold, because age is 18 to 110")
    declare(clinic, rules=['arm == "third"'])
    refused(
        clinic, "check", clinic.data, clinic.schema, phrase="'third' is no level of arm; it has standard, intensive"
    )


def test_rules_that_cannot_hold_together_are_noted(clinic):
    declare(
        clinic,
        rules=[
            'if age < 70 then arm == "standard"',
            'if arm == "standard" then age > 80',
            "age <= 75",
            'if age >= 70 then arm == "standard"',
        ],
    )
    phrase = "all rules can hold together (none of 100,000 rows of declared values meets them)"
    found = json.loads(clinic.run("check", clinic.data, clinic.schema, "--json").stdout)["findings"]
    (told,) = [one for one in found if one["column"] == "rules"]
    assert (told["rule"], told["blocking"]) == (phrase, False)
    done = clinic.run("plan", clinic.schema, "--epsilon", 3)
    assert done.exit_code == 0
    assert phrase in done.stdout.replace("\n", " ")
    declare(clinic, rules=['if age < 70 then arm == "standard"'])
    assert "hold together" not in clinic.run("plan", clinic.schema, "--epsilon", 3).output


def test_a_date_comes_before_the_one_it_is_after(clinic):
    frame = clinic.frame()
    frame["came"], frame["left"] = "2010-01-10", "2010-01-20"
    frame.loc[[2, 7], "left"] = "2010-01-09"
    rewrite(clinic, frame)
    came = {"kind": "date", "low": "2010-01-01", "high": "2010-12-31"}
    declare(clinic, came=came, left={"kind": "date", "after": "came", "within": 30})
    done = refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase="0 to 30 days after came")
    assert finding(done, "left")["rows"] == [3, 8]
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="read with invalid='clip'")
    assert clinic.run(*fit(clinic, "--privacy", "none", "--invalid", "clip")).exit_code == 0


def test_a_constant_is_declared_and_one_patient_differs(clinic):
    frame = clinic.frame()
    frame["dose"] = "5"
    frame.loc[3, "dose"] = VALUE
    rewrite(clinic, frame)
    declare(clinic, dose={"kind": "number", "low": 5, "high": 5})
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="dose: every cell is within the declared bounds")
    assert clinic.run(*fit(clinic, "--privacy", "none", "--invalid", "drop")).exit_code == 0


def test_an_event_may_be_missing(clinic):
    found = yaml.safe_load(clinic.schema.read_text(encoding="utf-8"))
    found["events"] = {"time": "age", "event": "smoker"}
    clinic.schema.write_text(yaml.safe_dump(found), encoding="utf-8")
    refused(clinic, "check", clinic.data, clinic.schema, phrase="declare a level for patients whose end is not known")


def test_a_constant_column_is_noted_and_modelled(clinic):
    frame = clinic.frame()
    frame["age"] = "50"
    rewrite(clinic, frame)
    done = clinic.run("check", clinic.data, clinic.schema)
    assert done.exit_code == 0
    assert "It is constant" in done.stdout.replace("\n", " ")
    assert clinic.run(*fit(clinic, "--privacy", "none")).exit_code == 0


FAMILIES = ("copula", "marginal", "tabgan")


def test_a_column_is_empty(clinic):
    frame = clinic.frame()
    frame["crp"] = ""
    rewrite(clinic, frame)
    declare(clinic, crp={"kind": "number", "low": 0, "high": 500})
    refused(
        clinic, *fit(clinic, "--epsilon", 4, "--family", "copula"), phrase="crp: no cell is missing; broken 400 times"
    )
    declare(clinic, crp={"nullable": True})
    checked = json.loads(clinic.run("check", clinic.data, clinic.schema, "--json").stdout)
    (told,) = [found for found in checked["findings"] if found["column"] == "crp"]
    assert (told["way_out"], told["blocking"]) == ("It is empty; leave it out of the schema.", False)
    # So large that the noise, which is new in each run, can hardly hide it.
    done = clinic.run(*fit(clinic, "--epsilon", 30, "--family", "copula"))
    assert done.exit_code == 0, done.output
    assert re.search(r"crp: about (9\d|100) % of the cells are missing; its values are mostly noise", flat(done))
    drafted = clinic.run("init", clinic.data, "-o", clinic.folder / "draft.yaml")
    assert "left out: crp (it has no value)" in flat(drafted)


def flat(done):
    return (done.stdout + done.stderr).replace("\n", " ")


@pytest.mark.parametrize("family", FAMILIES)
def test_there_are_more_columns_than_patients(clinic, family):
    frame = clinic.frame().head(120)
    names = [f"x{at}" for at in range(150)]
    more = pd.DataFrame(np.random.default_rng(2).integers(0, 9, (120, 150)).astype(str), columns=names)
    rewrite(clinic, pd.concat([frame, more], axis=1))
    columns = {name: {"kind": "integer", "low": 0, "high": 9} for name in names}
    declare(clinic, population=120, **columns)
    checked = clinic.run("check", clinic.data, clinic.schema)
    assert checked.exit_code == 0
    said = json.loads(clinic.run("check", clinic.data, clinic.schema, "--json").stdout)["findings"]
    assert [found["rule"] for found in said] == ["there are more patients than variables (columns x visits)"]
    done = refused(
        clinic,
        *fit(clinic, "--epsilon", 3, "--family", family),
        phrase="is too small for population=120 with 153 variables",
    )
    assert re.search(r"with at most \d+ variables. All columns cost alike: keep those that matter most", flat(done))


def test_a_budget_too_small_for_its_columns_names_those_to_drop(clinic):
    found = yaml.safe_load(clinic.schema.read_text(encoding="utf-8"))
    found["visits"] = {
        "key": "visit", "grid": [f"{at}M" for at in range(12)],
        "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260, "nullable": True}, "dbp": {"kind": "flag"}},
    }  # fmt: skip
    clinic.schema.write_text(yaml.safe_dump(found), encoding="utf-8")
    done = refused(clinic, "plan", clinic.schema, "--epsilon", 0.6, phrase="It would be possible without sbp")
    assert "What costs most: sbp (12 variables, and 12 for missing cells)" in flat(done)


@pytest.mark.parametrize("family", ["copula", "marginal"])
def test_bounds_cut_off(clinic, family):
    frame = clinic.frame()
    frame["age"] = frame["age"].astype(int).clip(upper=60).astype(str)
    rewrite(clinic, frame)
    declare(clinic, age={"high": 60})
    done = clinic.run(*fit(clinic, "--epsilon", 4, "--family", family))
    assert done.exit_code == 0, done.output
    assert re.search(r"age: about \d+ % of the values lie on its bound high=60; if that is not", flat(done))
    declare(clinic, age={"high": 110})
    rewrite(clinic, clinic.frame().assign(age=[str(30 + at % 60) for at in range(400)]))
    other = clinic.run("fit", clinic.data, clinic.schema, "-o", clinic.folder / "wide", "--epsilon", 4)
    assert "lie on its bound" not in flat(other)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_label_is_constant_though_two_levels_are_declared(clinic, family):
    rewrite(clinic, clinic.frame().assign(arm="standard"))
    noticed(clinic, "the class arm=intensive has patients")
    done = clinic.run(*fit(clinic, "--epsilon", 4, "--family", family))
    assert done.exit_code == 0, done.output
    # The noise decides which of the two is said.
    assert re.search(r"the class arm=intensive has (too few patients to be told from none|so few patients)", flat(done))
    generator = wg.Trained.load(clinic.folder / "run").generator
    for drawn, share in (
        (generator.sample(40, balance="arm"), 0.5),
        (generator.sample(40, where={"arm": "intensive"}), 1),
    ):
        assert (drawn["arm"] == "intensive").mean() == share


def test_nothing_but_a_constant_is_declared(clinic):
    rewrite(clinic, clinic.frame().assign(dose="5"))
    found = yaml.safe_load(clinic.schema.read_text(encoding="utf-8"))
    found["table"] = {"dose": {"kind": "integer", "low": 5, "high": 5}}
    clinic.schema.write_text(yaml.safe_dump(found), encoding="utf-8")
    refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase="there is a column to model")
    refused(clinic, *fit(clinic), phrase="besides the labels and constants there is no column to model")


def test_a_code_of_700_levels_has_300_patients(clinic):
    frame = clinic.frame().head(300)
    frame["code"] = [f"c{at * 7 % 700:03d}" for at in range(300)]
    rewrite(clinic, frame)
    declare(clinic, population=300, code={"kind": "category", "levels": [f"c{at:03d}" for at in range(700)]})
    assert "more than 50 different texts" in flat(clinic.run("init", clinic.data, "-o", clinic.folder / "draft.yaml"))
    done = clinic.run(*fit(clinic, "--epsilon", 4))
    assert done.exit_code == 0, done.output
    assert "code: its 700 levels were joined into" in flat(done)
    declare(clinic, code={"label": True})
    refused(clinic, "plan", clinic.schema, "--epsilon", 4, phrase="the label columns make 1400 classes; 64 are allowed")


def test_there_is_one_patient(clinic):
    rewrite(clinic, clinic.frame().head(1))
    done = clinic.run("check", clinic.data, clinic.schema, "--json")
    rules = {found["rule"] for found in json.loads(done.stdout)["findings"]}
    assert "there are at least 100 patients" in rules
    refused(clinic, *fit(clinic, "--privacy", "none"), phrase="one patient is no cohort")


def test_check_never_tells_how_many_patients_there_are(clinic):
    assert "400" not in clinic.run("check", clinic.data, clinic.schema).output
    rewrite(clinic, clinic.frame().head(37))
    assert "37" not in clinic.run("check", clinic.data, clinic.schema).output


def test_there_are_more_patients_than_declared(clinic):
    declare(clinic, population=300)
    refused(clinic, "check", clinic.data, clinic.schema, "--json", phrase="1.1 times as many patients as declared")


# --- the budget -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", ["0", "-1", "inf", "nan"])
def test_epsilon_is_no_budget(clinic, epsilon):
    refused(clinic, "plan", clinic.schema, "--epsilon", epsilon, phrase="is not a finite number greater than 0")
    refused(clinic, *fit(clinic, "--epsilon", epsilon), phrase="is not a finite number greater than 0")


@pytest.mark.parametrize("delta", ["0", "1", "2", "-1e-5", "nan"])
def test_delta_is_no_probability(clinic, delta):
    refused(clinic, "plan", clinic.schema, "--epsilon", 3, "--delta", delta, phrase="is not between 0 and 1")


def test_epsilon_is_missing(clinic):
    refused(clinic, *fit(clinic, "--seed", 1), phrase="--epsilon 3, or --privacy none")


def test_epsilon_is_too_small_for_so_few_patients(clinic):
    done = refused(clinic, "plan", clinic.schema, "--epsilon", "0.01", phrase="Possible from about epsilon=")
    enough = float(done.stderr.split("about epsilon=")[1].split(" ")[0])
    assert clinic.run("plan", clinic.schema, "--epsilon", enough * 1.1).exit_code == 0


def test_bounds_or_levels_are_not_declared(clinic):
    declare(clinic, age={"low": None, "high": None})
    refused(clinic, *fit(clinic), phrase="low and high are not declared; declare them, or set learn: true")
    declare(clinic, age={"low": 18, "high": 110}, arm={"levels": None, "label": None})
    refused(clinic, "plan", clinic.schema, "--epsilon", 4, phrase="levels are not declared")


def test_a_draft_is_not_confirmed(clinic):
    declare(clinic, confirm=["population"])
    refused(clinic, *fit(clinic), phrase="read off patients")


def test_the_family_and_the_privacy_are_unknown_words(clinic):
    refused(clinic, "plan", clinic.schema, "--epsilon", 3, "--family", "magic", phrase="not one of auto, copula")
    refused(clinic, *fit(clinic, "--privacy", "some"), phrase="not one of private, none")


# --- the output -----------------------------------------------------------------------------------------------------


def test_the_output_exists(clinic, model):
    home = clinic.folder
    for name in ("x.yaml", "x.hgan", "x.csv", "x.key"):
        (home / name).write_text("mine", encoding="utf-8")
    commands = [
        ("init", clinic.data, "-o", home / "x.yaml"),
        ("release", home / "run", "-o", home / "x.hgan", *OVERRIDE),
        ("sample", model, "-n", 5, "-o", home / "x.csv"),
    ]
    for words in commands:
        refused(clinic, *words, phrase="exists")
        assert clinic.run(*words, "--force").exit_code == 0
    refused(clinic, "keys", "new", "Clinic", "-o", home / "x.key", phrase="exists")
    refused(clinic, *fit(clinic), phrase="is not empty; choose another folder")
    refused(clinic, "demo", "-o", home, phrase="is not empty; choose another folder")


def test_the_output_is_a_pipe_or_standard_output(clinic, model, monkeypatch):
    home = clinic.folder
    monkeypatch.chdir(home)
    os.mkfifo(home / "pipe")
    (home / "x.csv").symlink_to("pipe")
    commands = [
        ("init", clinic.data, "-o"),
        ("release", home / "run", *OVERRIDE, "-o"),
        ("sample", model, "-n", 5, "--format", "csv", "-o"),
    ]
    for words in commands:
        for force in ((), ("--force",)):
            for name in ("pipe", "x.csv"):
                refused(clinic, *words, home / name, *force, phrase="is never replaced; name a file")
            refused(clinic, *words, "-", *force, phrase="stands for standard output, where nothing is written to")
    refused(clinic, "keys", "new", "Clinic", "-o", "-", phrase="standard output")
    refused(clinic, "fit", clinic.data, clinic.schema, "--epsilon", 4, "-o", "-", phrase="standard output")
    refused(clinic, "demo", "-o", "-", "--force", phrase="standard output")
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)


def test_a_linked_output_stays_a_link(clinic, model):
    (clinic.folder / "shared").mkdir()
    (clinic.folder / "x.csv").symlink_to("shared/real.csv")
    refused(clinic, "sample", model, "-n", 5, "-o", clinic.folder / "x.csv", phrase="--force")
    clinic.ok("sample", model, "-n", 5, "-o", clinic.folder / "x.csv", "--force")
    assert (clinic.folder / "x.csv").is_symlink()
    assert len((clinic.folder / "shared" / "real.csv").read_text(encoding="utf-8").splitlines()) == 6


def test_the_folder_of_the_output_is_missing(clinic, model):
    nowhere = clinic.folder / "nowhere"
    refused(clinic, "init", clinic.data, "-o", nowhere / "x.yaml", phrase="does not exist; create it first")
    refused(clinic, "release", clinic.folder / "run", "-o", nowhere / "x.hgan", phrase="does not exist")
    refused(clinic, "sample", model, "-n", 5, "-o", nowhere / "x.csv", phrase="does not exist")


@pytest.mark.parametrize("verb", ["init", "release", "keys"])
def test_the_disk_is_full(clinic, model, monkeypatch, verb):
    home = clinic.folder
    words = {
        "init": ("init", clinic.data, "-o", home / "x.yaml"),
        "release": ("release", home / "run", "-o", home / "x.hgan", *OVERRIDE),
        "keys": ("keys", "new", "Clinic", "-o", home / "x.key"),
    }[verb]
    monkeypatch.setattr("os.fsync", full)
    refused(clinic, *words, phrase="No space left on device")


def full(*_args):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.arrow"])
def test_the_disk_fills_up_while_sampling(clinic, model, name):
    words = ("sample", model, "-n", 50_000, "-o", clinic.folder / name)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        refused(clinic, *words, phrase="cannot be written: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    gc.collect()


def test_the_disk_is_full_during_a_fit(clinic, monkeypatch):
    monkeypatch.setattr("os.fsync", full)
    # The folder of a run stays for `--resume`; what is in it was begun, and nothing was read.
    left = {"run", "run/cohort.sha256", "run/schema.json", "run/ledger.jsonl"}
    done = refused(clinic, *fit(clinic), phrase="No space left on device; nothing was read", new=left)
    assert "go on with --resume" in done.stderr
    assert "keep the folder as the record" in done.stderr


def test_more_patients_than_declared_are_refused_before_there_is_a_folder(clinic):
    declare(clinic, population=100)
    done = refused(clinic, *fit(clinic), phrase="population=100 is declared, but the cohort has more than 110 patients")
    assert "spent" not in done.stderr


def test_a_noisy_count_is_not_called_declared(clinic):
    declare(clinic, population=None, **{f"x{at}": {"kind": "number", "low": 0, "high": 1} for at in range(40)})
    rewrite(clinic, clinic.frame().head(25).assign(**{f"x{at}": 0.5 for at in range(40)}))
    done = clinic.run(*fit(clinic, "--epsilon", 1))
    assert done.exit_code == 2
    assert re.search(r"By the noisy count, which was paid for, there are about \d+ patients\.", flat(done))


def test_levels_that_nobody_could_reach_are_refused_before_anything_is_spent(clinic):
    declare(clinic, population=60, code={"kind": "category", "learn": True})
    phrase = "Declare its levels, join more patients, or raise epsilon."
    done = refused(clinic, "plan", clinic.schema, "--epsilon", 1.5, phrase=phrase)
    assert re.search(r"code: a level is learned from about \d+ patients on, and population=60", flat(done))
    declare(clinic, population=5000)
    done = clinic.run("plan", clinic.schema, "--epsilon", 3)
    assert re.search(r"Levels of code: those that about \d+ patients have, or more, are learned\.", flat(done))


def test_a_label_with_empty_cells(clinic):
    rewrite(clinic, clinic.frame().assign(arm=lambda rows: rows["arm"].where(rows.index > 2)))
    done = refused(clinic, *fit(clinic), phrase="arm: no cell is missing; broken 3 times (row 1, 2, 3)")
    assert "A label is never missing: give these patients a level of their own, or leave them out." in flat(done)
    assert "nullable" not in done.stderr


def test_a_refused_fit_says_where_its_bill_is(clinic):
    rewrite(clinic, clinic.frame().head(1))  # of 400 who are declared
    run = clinic.folder / "run"
    done = clinic.run(*fit(clinic))
    assert done.exit_code == 2
    assert "by the noisy count there are fewer than" in flat(done)
    assert f"What was spent is in {run / 'ledger.jsonl'}: keep the folder as the record." in done.stderr
    assert "Fit the next time into another folder (--resume would end with the same refusal)" in done.stderr
    assert Ledger.resume(run / "ledger.jsonl").events
    refused(clinic, *fit(clinic), phrase="is not empty; choose another folder")
    refused(clinic, "release", run, "-o", clinic.folder / "x.hgan", phrase="if it was refused, fit again, into another")
    again = clinic.run(*fit(clinic, "--resume"))
    assert "by the noisy count there are fewer than" in flat(again)
    assert "keep the folder as the record" in again.stderr
    assert "if that cannot be, fit into another folder" in again.stderr


def test_a_fit_refused_before_its_bill_says_nothing_of_one(clinic):
    declare(clinic, arm={"levels": ["standard", "intensive", "third"]})
    assert "ledger" not in refused(clinic, *fit(clinic, "--privacy", "none"), phrase="third").stderr


# --- the model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["inspect", "verify", "sample"])
def test_the_model_is_from_the_future(clinic, verb):
    future = clinic.folder / "future.hgan"
    future.write_bytes(forge(card=changed(version="2.0")))
    words = ("-n", 5, "-o", clinic.folder / "x.csv") if verb == "sample" else ()
    code, phrase = (3, "unsigned") if verb == "verify" else (2, "newer")
    refused(clinic, verb, future, *words, phrase=phrase, code=code)


@pytest.mark.parametrize("verb", ["inspect", "verify", "sample"])
def test_the_model_is_missing_or_something_else(clinic, verb):
    words = ("-n", 5, "-o", clinic.folder / "x.csv") if verb == "sample" else ()
    refused(clinic, verb, clinic.folder / "nowhere.hgan", *words, phrase="cannot be read")
    refused(clinic, verb, clinic.data, *words, phrase="not")


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (("--where", "colour=red"), "'colour' is not in the generator's table; it has arm"),
        (("--where", "arm=third"), "'third' is not a level of arm; it has standard, intensive"),
        (("--where", "arm"), "is not a condition"),
        (("--where", "age=200..300"), "is outside 18 to 110"),
        (("--where", "age=80..60"), "the lower end comes first"),
        (("--where", "age=200.."), "age=200.. holds nobody; it is 18 to 110"),
        (("--where", "age=..10"), "age=..10 holds nobody; it is 18 to 110"),
        (("--balance", "arm", "--where", "arm=intensive"), "where leaves it one level only (intensive)"),
        (("--balance", "age"), "is not a label of the generator; its labels are: arm"),
        (("--format", "excel"), "format='excel' is not one of csv, parquet, arrow"),
        (("--trust", "nowhere.json"), "The file is unsigned"),
    ],
)
def test_what_is_asked_for_is_not_there(clinic, model, words, phrase):
    code = 3 if "--trust" in words else 2
    refused(clinic, "sample", model, "-n", 5, "-o", clinic.folder / "x.csv", *words, phrase=phrase, code=code)


def test_the_number_of_patients_or_the_name_of_the_file_says_nothing(clinic, model):
    refused(clinic, "sample", model, "-n", -1, "-o", clinic.folder / "x.csv", phrase="n=-1")
    refused(clinic, "sample", model, "-n", 5, "-o", clinic.folder / "x.xlsx", phrase="does not say its format")


def test_the_run_is_not_finished(clinic):
    words = ("release", clinic.folder / "run", "-o", clinic.folder / "x.hgan", *OVERRIDE)
    refused(clinic, *words, phrase="does not exist")
    (clinic.folder / "run").mkdir()
    refused(clinic, *words, phrase="is not a run folder")
    refused(clinic, "release", clinic.data, "-o", clinic.folder / "x.hgan", phrase="is a file, not a run folder")
    refused(clinic, *fit(clinic, "--resume"), phrase="holds no run that stopped")


def test_the_key_is_missing_or_no_key(clinic, model):
    words = ("release", clinic.folder / "run", "-o", clinic.folder / "x.hgan", *OVERRIDE, "--key")
    refused(clinic, *words, clinic.folder / "nowhere.key", phrase="cannot be read")
    refused(clinic, *words, clinic.schema, phrase="is not a PEM key")
