"""Release, load, inspect and verify on a good model."""

import io
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

import release_kit as kit
from release_kit import release
from wardgan.errors import FormatError, OutputError, TrustError, UsageError
from wardgan.schema.schema import Schema
from wardgan.seal import bill, oci


@pytest.fixture
def keyed(tmp_path):
    """A key pair and a trust file."""
    release.new_key(tmp_path / "k", name="hospital", trust=tmp_path / "trust.json")
    return tmp_path / "k", tmp_path / "trust.json"


def test_generator_survives_byte_for_byte(tmp_path):
    made = kit.fit()
    found = release.load(release.release(made, tmp_path / "a.hgan"))
    assert found.network == made.generator.network
    assert found.schema == made.generator.schema
    assert (found.family, found.latent, found.probabilities) == ("copula", 3, (0.5, 0.5))
    assert found.row_bytes == 108  # three latent numbers and six tensors of four
    assert dict(found.privacy) == dict(made.generator.privacy)
    one, other = found.sample(50, seed=3), made.generator.sample(50, seed=3)
    assert one.equals(other)


def test_same_model_same_bytes(tmp_path, keyed):
    paths = [release.release(kit.fit(), tmp_path / name, keyed[0], created=kit.DAY) for name in ("a.hgan", "b.hgan")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_date_comes_from_the_argument_the_environment_or_today(tmp_path, monkeypatch):
    def day(path, **given):
        return release.inspect(release.release(kit.fit(), tmp_path / path, **given))["card"]["created"]

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert day("a") == "2001-09-09"
    assert day("b", created="2020-02-29") == "2020-02-29"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert day("c") >= "2025"
    for bad in ("2021-02-29", "yesterday", ""):
        with pytest.raises(UsageError, match="not a date"):
            release.release(kit.fit(), tmp_path / "d", created=bad)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH='soon'"):
        release.release(kit.fit(), tmp_path / "d")


def test_patients_may_be_named(tmp_path):
    named = release.release(kit.fit(), tmp_path / "a", training_data_id="data-0123456789abcdef")
    assert release.inspect(named)["card"]["training_data_id"] == "data-0123456789abcdef"
    unnamed = release.release(kit.fit(), tmp_path / "b")
    assert release.inspect(unnamed)["card"]["training_data_id"].startswith("fit-")
    with pytest.raises(UsageError, match="training_data_id"):
        release.release(kit.fit(), tmp_path / "c", training_data_id="St Elsewhere, ward 3")


def test_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "a.hgan"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        release.release(kit.fit(), path)
    assert path.read_bytes() == b"old"
    assert release.load(release.release(kit.fit(), path, force=True)).family == "copula"


@pytest.mark.parametrize("path", [None, 3, b"a.hgan", "a\0b"])
def test_what_is_no_path_is_refused(tmp_path, path):
    for call in (release.load, release.inspect, release.verify):
        with pytest.raises(UsageError, match=r"path: \w+ is not a path"):
            call(path)
    with pytest.raises(OutputError, match="is not a path"):
        release.release(kit.fit(), path)
    with pytest.raises(UsageError, match=r"key: \w+ is not a path"):
        release.release(kit.fit(), tmp_path / "a", path or 3)
    assert list(tmp_path.iterdir()) == []


def test_only_a_finished_fit_is_released(tmp_path):
    for other in (None, kit.fit().generator, "run"):
        with pytest.raises(UsageError, match="is no finished fit; pass what fit or"):
            release.release(other, tmp_path / "a")
    with pytest.raises(OutputError, match="standard output"):
        release.release(kit.fit(), "-")


def test_a_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "p")
    with pytest.raises(OutputError, match="never replaced"):
        release.release(kit.fit(), tmp_path / "p", force=True)
    assert stat.S_ISFIFO((tmp_path / "p").stat().st_mode)


def test_inspect_gives_facts_for_printing(tmp_path, keyed, monkeypatch):
    path = release.release(kit.fit(), tmp_path / "a.hgan", keyed[0], created=kit.DAY)
    facts = release.inspect(path)
    assert facts["bytes"] == path.stat().st_size
    assert facts["signature"]["status"] == "unknown key"
    assert [part["name"] for part in facts["parts"]] == ["card.json", *(kind.name for kind in oci.LAYERS)]
    assert facts["card"]["variables"] == 4
    assert facts["privacy"]["spent"]["epsilon"] == 0.98
    assert 1.07 < facts["epsilon_bound"] < 1.08
    monkeypatch.setenv("WARDGAN_TRUST", str(keyed[1]))
    assert release.inspect(path)["signature"] == {
        "status": "verified",
        "name": "hospital",
        "keyid": facts["signature"]["keyid"],
    }
    assert release.inspect(release.release(kit.fit(), tmp_path / "b"))["signature"]["status"] == "unsigned"


def test_verify_bills_again(tmp_path, keyed):
    path = release.release(kit.fit(), tmp_path / "a.hgan", keyed[0])
    asked = []

    def rebill(ledger):
        asked.append(ledger)
        return 0.97

    found = release.verify(path, keyed[1], rebill=rebill)
    assert found.signer == "hospital"
    assert found.epsilon == 0.97
    assert found.epsilon_bound > 0.97
    assert found.privacy.epsilon == 1.0
    assert asked[0]["events"][0]["noise_multiplier"] == 3.8
    assert 0.9 < release.verify(path, keyed[1]).epsilon <= 0.98
    for dear in (1.2, float("inf"), float("nan")):
        with pytest.raises(FormatError, match="its events cost epsilon"):
            release.verify(path, keyed[1], rebill=lambda _, dear=dear: dear)


def test_verify_finds_a_ledger_whose_events_cost_more_than_it_says(tmp_path, keyed):
    """By the accountant of record, and before it by the bound that costs nothing."""
    made = kit.fit(ledger={**kit.LEDGER, "events": [{**kit.LEDGER["events"][0], "noise_multiplier": 2.0}]})
    with pytest.raises(FormatError, match=r"its events cost epsilon 1\.99"):
        release.verify(release.release(made, tmp_path / "a.hgan", keyed[0]), keyed[1])
    made = kit.fit(ledger={**kit.LEDGER, "events": [{**kit.LEDGER["events"][0], "noise_multiplier": 0.01}]})
    with pytest.raises(FormatError, match="cost up to epsilon"):
        release.release(made, tmp_path / "b.hgan", keyed[0])


def test_verify_holds_the_bill_against_what_the_file_says_was_spent(tmp_path, keyed):
    """Less than the target, and yet more than it says: it would look better than it is."""
    made = kit.fit(ledger={**kit.LEDGER, "spent": {**kit.LEDGER["spent"], "epsilon": 0.5}})
    path = release.release(made, tmp_path / "a.hgan", keyed[0])
    with pytest.raises(FormatError, match=r"its events cost epsilon 0\.98, the file claims 0\.5 of 1"):
        release.verify(path, keyed[1])


@pytest.mark.parametrize(("more", "passes"), [(1.0099, True), (1.0101, False), (1.15, False)])
def test_verify_forgives_one_percent(more, passes, tmp_path, keyed):
    path = release.release(kit.fit(), tmp_path / "a.hgan", keyed[0])
    if passes:
        assert release.verify(path, keyed[1], rebill=lambda _: 0.98 * more).epsilon == 0.98 * more
    else:
        with pytest.raises(FormatError, match="its events cost epsilon"):
            release.verify(path, keyed[1], rebill=lambda _: 0.98 * more)


def test_verify_without_the_accountant_gives_the_bound(tmp_path, keyed, monkeypatch):
    monkeypatch.setattr(bill, "pld_available", lambda: False)
    found = release.verify(release.release(kit.fit(), tmp_path / "a.hgan", keyed[0]), keyed[1])
    assert found.epsilon is None
    assert 1 < found.epsilon_bound < 1.1


def test_verify_without_the_accountant_confirms_nothing_that_it_cannot(tmp_path, keyed, monkeypatch):
    """Twice the claim is far from absurd, and far from in order."""
    monkeypatch.setattr(bill, "pld_available", lambda: False)
    made = kit.fit(ledger={**kit.LEDGER, "events": [{**kit.LEDGER["events"][0], "noise_multiplier": 2.0}]})
    path = release.release(made, tmp_path / "a.hgan", keyed[0])
    with pytest.raises(
        TrustError, match=r"^Not verified: .* up to epsilon 2\.1\d*, the file claims 1\. .*pip install"
    ) as found:
        release.verify(path, keyed[1])
    assert found.value.exit_code == 3


def test_verify_of_an_open_model(tmp_path, keyed):
    made = kit.fit(ledger=kit.OPEN_LEDGER)
    path = release.release(made, tmp_path / "a.hgan", keyed[0], kit.OVERRIDE)
    found = release.verify(path, keyed[1])
    assert (found.privacy.mode, found.epsilon, found.epsilon_bound) == ("none", None, None)
    assert release.inspect(path)["card"]["override"] == kit.OVERRIDE


def test_order_of_columns_is_kept(tmp_path):
    schema = {"name": "o", "table": {name: {"kind": "flag"} for name in ("zeta", "alpha", "mid")}}
    made = kit.fit(schema=schema, network=kit.network(variables=3, classes=1), probabilities=(1.0,))
    found = release.load(release.release(made, tmp_path / "a.hgan"))
    assert found.layout.names == ("zeta", "alpha", "mid")
    assert found.schema == Schema.from_dict(schema)


def test_schema_that_is_no_json_is_refused(tmp_path):
    import datetime

    schema = {**kit.SCHEMA, "terms": {"until": datetime.date(2030, 1, 1)}}
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        release.release(kit.fit(schema=schema), tmp_path / "a.hgan")
    assert list(tmp_path.iterdir()) == []


def test_large_network_stays_within_bounds(tmp_path):
    """Two million weights, as a network of a wide table would have."""
    from wardgan.sample.network import Graph

    graph = Graph(latent=3)
    wide = graph.add("MatMul", "latent", graph.floats(np.ones((3, 4096))))
    narrow = graph.add("MatMul", wide, graph.floats(np.ones((4096, 512))))
    units = graph.add("MatMul", narrow, graph.floats(np.ones((512, 4))))
    made = kit.fit(network=graph.finish(units, variables=4))
    path = release.release(made, tmp_path / "a.hgan")
    assert path.stat().st_size < len(made.generator.network) + 20_000
    assert release.load(path).network == made.generator.network


def test_wrong_passphrase_or_key_writes_nothing(tmp_path, keyed):
    with pytest.raises(UsageError, match="key="):
        release.release(kit.fit(), tmp_path / "a.hgan", tmp_path / "none")
    assert not (tmp_path / "a.hgan").exists()


def test_release_needs_no_torch():
    code = "import sys, wardgan.seal; print(sorted(m for m in sys.modules if m in ('torch', 'onnxruntime', 'sklearn')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_public_names_are_there():
    assert release.__all__ == sorted(release.__all__)
    assert all(hasattr(release, name) for name in release.__all__)


def test_file_is_read_from_any_handle():
    data = kit.valid()
    assert oci.unpack(io.BytesIO(data), len(data)).parts() == kit.parts()
