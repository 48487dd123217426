"""A training of several hospitals on the steward's pages: what was agreed on, kits, how far it is, and what comes of it."""

import io
import json
import shutil
import zipfile
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import federating_kit
import steward_kit as kit
import wardgan as wg
from combining_kit import schema
from wardgan.errors import UsageError
from wardgan.federating.agreement import Agreement
from wardgan.federating.coordinator import Coordinator
from wardgan.federating.state import State
from wardgan.schema.schema import Schema
from wardgan.web.numbers import upward
from wardgan.web.steward import training as trainings
from wardgan.web.steward import trying
from wardgan.web.steward.arithmetic import costs_of
from wardgan.web.steward.training import Training

EVIL = '<b>"it\'s" & 1</b>'
AGREED = {
    "family": "copula", "settings": "", "patients": "900", "hospitals": "3", "least": "2", "epsilon": "2",
    "delta": "1e-5", "blocks": "1", "overlap": "1", "seed": "0",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(tmp_path_factory.mktemp("trust") / "trust.json"))
        yield


@pytest.fixture(scope="module")
def desk(tmp_path_factory, surroundings):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


def begun(desk, name):
    """A training with the declarations that all hospitals share."""
    answer = desk.client.post(
        "/federate/new", data={"csrf": desk.csrf, "name": name},
        files={"file": ("schema.yaml", schema("x", None).to_yaml().encode())}, headers=kit.OURS, follow_redirects=False,
    )  # fmt: skip
    assert answer.headers["location"] == f"/federate/{name}", kit.words(answer)
    return Training(desk.home / "_federated" / name)


@pytest.fixture(scope="module")
def agreed(desk):
    found = begun(desk, "region")
    assert desk.post("/federate/region/agreement", **AGREED).status_code == 303
    return found


def fields_of(answer):
    return kit.form_of(answer, '/agreement"')


def test_what_was_agreed_on_is_kept_and_shown_with_its_digest(desk, agreed):
    found = Agreement.load(agreed.agreement)
    assert (found.family, found.epsilon, found.overlap, found.hospitals) == ("copula", 2.0, 1, 3)
    page = desk.get("/federate/region")
    assert found.digest in page.text
    assert {name: fields_of(page)[name] for name in AGREED} == AGREED | {"epsilon": "2.0", "delta": "1e-05"}
    # Kept again as it is shown, it is the same agreement.
    desk.post("/federate/region/agreement", **fields_of(page))
    assert Agreement.load(agreed.agreement).digest == found.digest


@pytest.mark.parametrize(
    "wrong",
    [{"patients": "many"}, {"hospitals": "1"}, {"least": "9"}, {"epsilon": "-1"}, {"epsilon": EVIL}, {"delta": "2"},
     {"family": "marginal"}, {"settings": "steps"}, {"settings": "nothing=1"}, {"overlap": "0"}, {"seed": "-1"},
     {"blocks": "0"}, {"epsilon": ""}],
)  # fmt: skip
def test_what_cannot_be_agreed_on_is_told_and_stays(desk, agreed, wrong):
    before = agreed.agreement.read_bytes()
    answer = desk.post("/federate/region/agreement", **AGREED | wrong)
    assert answer.status_code == 400
    assert kit.alarm(answer)
    fields = fields_of(answer)
    assert {name: fields[name] for name in wrong if name != "family"} == {
        name: text for name, text in wrong.items() if name != "family"
    }
    assert "<b>" not in answer.text
    assert agreed.agreement.read_bytes() == before


def test_it_is_tried_with_invented_patients_of_whom_nothing_stays(desk):
    found = begun(desk, "tried")
    assert desk.post("/federate/tried/try").status_code == 400  # nothing is agreed on yet
    desk.post("/federate/tried/agreement", **AGREED | {"hospitals": "13", "patients": "130"})
    answer = desk.post("/federate/tried/try")
    assert (answer.status_code, "at most 12" in answer.text) == (400, True)
    desk.post("/federate/tried/agreement", **AGREED | {"patients": "300"})
    assert "3 invented hospitals with 100 patients each" in kit.words(desk.get("/federate/tried"))
    desk.post("/federate/tried/try")
    page = desk.wait("/federate/tried")
    assert kit.alarm(page) is None, kit.alarm(page)
    text = kit.words(page)
    assert "tried with 100 invented patients in each hospital" in text
    drawn = {one.kind: one.epsilon for one in costs_of(found.chosen["tried"]["facts"])}
    assert drawn["claim"] <= 2 < drawn["bound"] < drawn["added"] == 6  # overlap=1 is claimed
    assert f"a patient of at most 1, as you declare {upward(drawn['claim'])}" in text
    left = {path.name for path in found.folder.iterdir()}
    assert left <= {"schema.yaml", "agreement.yaml", "project.json", "said.txt", "progress.json"}
    # It says nothing of another agreement.
    desk.post("/federate/tried/agreement", **AGREED)
    text = kit.words(desk.get("/federate/tried"))
    assert "3 invented hospitals with 300 patients each" in text
    assert "What one patient risks" not in text


@pytest.mark.parametrize(("patients", "size"), [(6, 2), (2, 1), (10**9, 2_000)])
def test_a_trial_has_as_many_patients_as_are_agreed_on_and_not_too_many(patients, size):
    assert trying.size_of(federating_kit.agreement(patients=patients)) == size


def test_images_are_not_invented(tmp_path):
    found = {
        "name": "x",
        "patient": "id",
        "table": {"sick": {"kind": "flag", "label": True}},
        "images": {"size": [8, 8]},
    }
    agreed = SimpleNamespace(schema=Schema.from_dict(found), hospitals=3)
    with pytest.raises(UsageError, match="images are not invented"):
        trying.invent(Training(tmp_path), agreed)
    assert not list(tmp_path.iterdir())


def test_kits_are_written_once_and_given_one_by_one(desk, agreed):
    pytest.importorskip("nvflare", reason="nvflare is not installed (the extra federate)")
    assert desk.post("/federate/region/run", key="k").status_code == 400  # there are no kits yet
    assert desk.post("/federate/region/kits", sites=" ").status_code == 400
    for wrong in ({"sites": "alpha"}, {"sites": "alpha --host"}, {"sites": "alpha beta", "port": "x"}):
        desk.post("/federate/region/kits", **wrong)
        page = desk.wait("/federate/region")
        assert kit.alarm(page), wrong
        assert wrong["sites"] in page.text
        assert not agreed.kits.exists()
    desk.post("/federate/region/kits", sites="alpha\r\nbeta, gamma", host="fed.example.org", days="30")
    page = desk.wait("/federate/region")
    assert kit.alarm(page) is None, kit.alarm(page)
    assert agreed.sites == ["alpha", "beta", "gamma"]
    assert "wardgan federate site alpha" in page.text
    assert 'action="/federate/region/run"' in page.text
    answer = desk.get("/federate/region/kits/beta.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
        names = set(pack.namelist())
        assert "name: beta" in pack.read("beta/local/policy.yaml").decode()
    assert {"beta/startup/client.crt", "beta/startup/client.key"} <= names
    assert all(name.startswith("beta/") for name in names)
    # Nobody is handed the server's, or the key that lets others in.
    for other in (*trainings.OTHERS, "..", "nobody", "%2e%2e"):
        assert desk.get(f"/federate/region/kits/{other}.zip").status_code == 404, other
    desk.post("/federate/region/kits", sites="alpha beta")
    assert "exists" in kit.alarm(desk.wait("/federate/region"))
    assert desk.get("/federate/region/kits/beta.zip").content == answer.content


@pytest.fixture(scope="module")
def trained(desk, tmp_path_factory):
    """A training whose hospitals are here, as its coordinator's folder would be left by one over a network."""
    found = begun(desk, "trained")
    desk.post("/federate/trained/agreement", **AGREED)
    for name in ("server", "admin", "alpha"):
        (found.kits / name).mkdir(parents=True)
    agreement = Agreement.load(found.agreement)
    place = tmp_path_factory.mktemp("hospitals")
    channel = federating_kit.channel(federating_kit.hospitals(place))
    folder = found.kits / "server" / "together" / agreement.short
    assert Coordinator(agreement, channel, folder=folder).run() is not None
    channel.close()
    return found


def test_how_far_it_is_is_read_from_its_folder(desk, trained):
    text = kit.words(desk.get("/federate/trained"))
    assert "questions answered" in text
    for name in federating_kit.SITES:
        assert name in text
    standing = trainings.standing_of(trained, Agreement.load(trained.agreement))
    assert [one.name for one in standing.hospitals] == list(federating_kit.SITES)
    # What was billed is within what was agreed on, and not nothing.
    assert all(0.5 < one.spent < 2.5 and one.planned == 2 for one in standing.hospitals)
    assert (standing.round, standing.rounds) == (0, 0)
    assert standing.answers == len(State.load(
        trained.kits / "server" / "together" / Agreement.load(trained.agreement).short,
        Agreement.load(trained.agreement).digest).sums)  # fmt: skip


def test_another_agreement_begins_anew_and_says_what_that_costs(desk, trained):
    assert "every hospital pays for it anew" in desk.get("/federate/trained").text
    desk.post("/federate/trained/agreement", **AGREED | {"seed": "1"})
    assert "questions answered" not in desk.get("/federate/trained").text
    desk.post("/federate/trained/agreement", **AGREED)
    assert "questions answered" in desk.get("/federate/trained").text


def test_names_of_hospitals_and_notices_are_text_and_nothing_else(desk, trained):
    agreement = Agreement.load(trained.agreement)
    folder = trained.kits / "server" / "together" / agreement.short
    shutil.copytree(folder, trained.folder / "before")
    state = State.load(folder, agreement.digest)
    state.notices.append(EVIL)
    one = state.members.pop("alpha")
    state.members["alpha"] = type(one)(**{**vars(one), "name": EVIL})
    state.save(folder, agreement.digest)
    page = desk.get("/federate/trained")
    assert page.text.count("&lt;b&gt;") == 2
    assert "<b>" not in page.text
    (folder / "state.npz").write_bytes(b"damaged")
    page = desk.get("/federate/trained")
    assert (page.status_code, "is damaged" in kit.alarm(page)) == (200, True)
    shutil.rmtree(folder)
    shutil.move(trained.folder / "before", folder)


def test_a_training_that_is_over_is_written_down_and_signed(desk, trained):
    """Over a network nobody is asked any more; with kits of nobody nothing else could have been done."""
    pytest.importorskip("nvflare", reason="nvflare is not installed (the extra federate)")
    desk.post("/federate/trained/run", hospital="Region", join="many")
    assert "--join" in kit.alarm(desk.wait("/federate/trained"))
    desk.post("/federate/trained/run", key="../../signing.key")
    assert "is no startup kit" in kit.alarm(desk.wait("/federate/trained"))
    assert not trained.file.exists()
    shutil.rmtree(trained.kits / "alpha")
    for name in ("server", "admin"):
        shutil.copytree(desk.home / "_federated" / "region" / "kits" / name, trained.kits / name, dirs_exist_ok=True)
    (trained.kits / "alpha").mkdir()
    desk.post("/federate/trained/run", key="../../signing.key")
    page = desk.wait("/federate/trained")
    assert "trained is signed" in kit.words(page), kit.alarm(page)
    text = kit.words(page)
    assert "a patient of at most 1, as you declare" in text
    assert "alpha, as its file promises" in text
    assert wg.inspect(trained.file)["privacy"]["origin"]["how"] == "federated"
    # It is done: nothing changes any more.
    before = trained.file.read_bytes()
    for way, form in (("agreement", AGREED), ("kits", {"sites": "a b"}), ("run", {"key": "k"})):
        answer = desk.post(f"/federate/trained/{way}", **form)
        assert (answer.status_code, "is signed" in answer.text) == (400, True)
    assert trained.file.read_bytes() == before
    assert json.loads((trained.folder / "project.json").read_text())["federated"]["hospitals"]


def test_what_is_no_schema_leaves_nothing(desk):
    answer = desk.client.post(
        "/federate/new", data={"csrf": desk.csrf, "name": "nothing"}, files={"file": ("a.yaml", b"name: [")},
        headers=kit.OURS,
    )  # fmt: skip
    assert answer.status_code == 400
    assert not (desk.home / "_federated" / "nothing").exists()
    assert desk.get("/federate/nothing").status_code == 404


def test_the_list_says_which_command_runs_at_the_hospitals(desk, agreed):
    page = desk.get("/federate").text
    assert ">region</a>" in page
    assert "wardgan federate site KIT" in page
