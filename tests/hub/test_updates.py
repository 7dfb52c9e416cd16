"""A second push: text written on the Hub survives, leftovers go, and what somebody else does meanwhile is not lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.stand_in import HubStandIn

CODE = """
import json, shutil, sys
from pathlib import Path
import torch
from rablip import RablipProcessor, RablipRetriever, RablipRetrieverProcessor, RablipForConditionalGeneration
from rablip.hub import CardFields, plan_push, push, push_folder

folder = Path("retriever")
fields = CardFields(license="mit", base_model="a/b")
model = RablipRetriever.from_pretrained(folder)
processor = RablipRetrieverProcessor.from_pretrained(folder)

# In shards, then in one file.
model.save_pretrained("shards", max_shard_size="20KB")
processor.save_pretrained("shards")
assert len(list(Path("shards").glob("model-*.safetensors"))) > 1
push_folder("shards", "me/shards", fields=fields, with_code=True)
again = RablipRetriever.from_pretrained("me/shards")
assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
push_folder(folder, "me/shards", fields=fields)

# From a loaded model, with and without its processor; the classes' own method.
model.push_to_hub("me/loaded", processor=processor, fields=fields)
commit = model.push_to_hub("me/loaded", fields=fields, commit_message="weights again")
RablipRetrieverProcessor.from_pretrained("me/loaded", revision=commit.oid)
processor.push_to_hub("me/loaded")
# As transformers' own method is called: the owner is the token's, and its other arguments serve.
model.push_to_hub("plain", commit_message="m", commit_description="d", tags=["mine"], max_shard_size="1GB")
model.save_pretrained("also", push_to_hub=True, repo_id="me/saved")

# A branch, and a pull request.
push_folder(folder, "me/branched", fields=fields)
branch = push_folder(folder, "me/branched", fields=CardFields(license="mit", base_model="c/d"), revision="trial")
request = push_folder(folder, "me/branched", fields=CardFields(license="apache-2.0"), create_pr=True)
print(json.dumps({"branch": branch.oid, "pull_request": request.pr_url}))
"""


@pytest.fixture(scope="module")
def place(tiny_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("updates")
    shutil.copytree(tiny_folders["retriever"], place / "retriever")
    return place


@pytest.fixture(scope="module")
def printed(place: Path, run: Callable[..., str]) -> dict[str, str]:
    return json.loads(run(CODE, cwd=place).splitlines()[-1])


def test_leftovers_of_the_push_before_go(place: Path, printed: dict[str, str], hub: HubStandIn) -> None:
    repository = hub.repositories[("model", "me/shards")]
    *_, first, second = repository.commits.values()
    assert any(name.startswith("model-0000") for name in first) and "modeling_rablip_base.py" in first
    assert not any(name.startswith("model-0000") or name.endswith((".py", ".index.json")) for name in second)
    assert second["model.safetensors"] == (place / "retriever" / "model.safetensors").read_bytes()


def test_a_loaded_model_is_pushed_with_its_card(printed: dict[str, str], hub: HubStandIn) -> None:
    files = hub.files("me/loaded")
    assert {"config.json", "model.safetensors", "processor_config.json", "qformer_tokenizer/tokenizer.json"} <= set(
        files
    )
    assert b"# loaded" in files["README.md"] and b"license: mit" in files["README.md"]
    assert files["README.md"].count(b"rablip:begin") == 1
    assert not any(name.endswith(".py") for name in files)


def test_called_as_transformers_own(printed: dict[str, str], hub: HubStandIn) -> None:
    assert {"model.safetensors", "README.md"} <= set(hub.files("me/plain"))
    assert b"- mine" in hub.files("me/plain")["README.md"]
    assert "model.safetensors" in hub.files("me/saved")


def test_branches_and_pull_requests(printed: dict[str, str], hub: HubStandIn) -> None:
    repository = hub.repositories[("model", "me/branched")]
    assert repository.branches["trial"] == printed["branch"] != repository.branches["main"]
    assert b"c/d" in hub.files("me/branched", revision="trial")["README.md"]
    assert b"a/b" in hub.files("me/branched")["README.md"]
    assert printed["pull_request"].endswith("/discussions/1")
    assert b"apache-2.0" in hub.files("me/branched", revision="refs/pr/1")["README.md"]


def test_text_written_on_the_hub_survives(
    place: Path, printed: dict[str, str], hub: HubStandIn, run: Callable[..., str]
) -> None:
    repository = hub.repositories[("model", "me/loaded")]
    files = dict(hub.files("me/loaded"))
    edited = files["README.md"].decode().replace("# loaded", "# Edited in the browser\n\nBy a person.")
    repository.commit("main", {**files, "README.md": edited.encode(), "notes.txt": b"theirs"})
    code = """
from pathlib import Path
from rablip.hub import CardFields, plan_push, push, push_folder, write_card

push_folder("retriever", "me/loaded")
# A card that was generated here has no text of its own to lose or to win.
write_card("retriever", "me/loaded", CardFields(license="mit"))
push_folder("retriever", "me/loaded")
"""
    run(code, cwd=place)
    pushed = hub.files("me/loaded")
    assert b"# Edited in the browser\n\nBy a person." in pushed["README.md"]
    assert b"license: mit" in pushed["README.md"] and pushed["notes.txt"] == b"theirs"
    code = """
from pathlib import Path
from rablip.hub import push_folder

readme = Path("retriever/README.md")
readme.write_text(readme.read_text().replace("# loaded", "# Another text"))
try:
    push_folder("retriever", "me/loaded")
except ValueError as error:
    assert "would be lost" in str(error), error
else:
    raise AssertionError("a text was lost")
readme.unlink()
"""
    run(code, cwd=place)
    assert hub.files("me/loaded") == pushed


def test_a_commit_in_between_is_not_overwritten(
    place: Path, printed: dict[str, str], hub: HubStandIn, run: Callable[..., str]
) -> None:
    code = """
from unittest import mock
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError
from rablip.hub import push_folder

create = HfApi.create_commit

def create_after_somebody(api, **kwargs):
    create(api, repo_id="me/branched", operations=[CommitOperationAdd("faster.txt", b"x")], commit_message="faster")
    return create(api, **kwargs)

with mock.patch.object(HfApi, "create_commit", create_after_somebody):
    try:
        push_folder("retriever", "me/branched")
    except HfHubHTTPError as error:
        assert "412" in str(error)
    else:
        raise AssertionError("the commit of somebody else was passed over")
"""
    run(code, cwd=place)
    assert hub.files("me/branched")["faster.txt"] == b"x"
