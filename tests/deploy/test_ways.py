"""deploy/README.md and deploy/ways.md name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.deploy.manifests import DEPLOY, load_all

README = (DEPLOY / "README.md").read_text()
WAYS = (DEPLOY / "ways.md").read_text()
COMPONENTS = DEPLOY / "kubernetes" / "components"


def test_its_overlay_and_the_one_that_is_tested_have_every_component():
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.+?)```", WAYS, re.DOTALL)]
    (overlay,) = [one for one in blocks if one.get("kind") == "Kustomization"]
    tested = yaml.safe_load((Path(__file__).parent / "everything" / "kustomization.yaml").read_text())
    there = {path.name for path in COMPONENTS.iterdir()}
    assert {Path(one).name for one in overlay["components"]} == there
    assert {Path(one).name for one in tested["components"]} == there


def test_it_says_what_to_do_for_every_alert():
    (rules,) = load_all(COMPONENTS / "monitoring" / "rules.yaml")
    alerts = {rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"]}
    assert set(re.findall(r"^\| `(Bandstand\w+)`", WAYS, re.MULTILINE)) == alerts


def test_its_recipe_for_an_image_keeps_the_versions_of_ours():
    (recipe,) = re.findall(r"```dockerfile\n(.+?)```", WAYS, re.DOTALL)
    assert "-c /opt/bandstand/constraints.txt" in recipe
    assert recipe.rstrip().endswith("USER 10001")


def test_the_readme_begins_with_what_was_run_and_what_was_only_checked_of_every_way():
    lines = [line for line in README.splitlines() if line]
    assert lines[1] == "| way | what was run | what was only checked |"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[3:] if line.startswith("|")]
    table = "\n".join(row[0] for row in rows[: next(i for i, row in enumerate(rows) if len(row) != 3)])
    ways = {path.name for path in DEPLOY.iterdir()} - {"README.md", "ways.md", "releasing", "image", ".env", "data"}
    assert {name for name in ways if name not in table} == {"compose.gpu.yaml"}  # which goes over compose.yaml


def test_the_versions_of_schemas_are_those_that_the_readme_names():
    from tests.deploy.test_published_schemas import VERSIONS

    for _, versions in VERSIONS.values():
        assert all(version.removeprefix("v") in README for version in versions)


def test_the_steps_of_an_upgrade_are_those_of_the_migrations_folder():
    told = re.findall(
        r"^#   (kubectl.+)$", (DEPLOY / "kubernetes/migration/kustomization.yaml").read_text(), re.MULTILINE
    )
    steps = WAYS.split("## Upgrade on Kubernetes")[1].split("\n## ")[0]
    assert len(told) == 5
    places = [steps.find(line) for line in told[:4]]
    assert places == sorted(places) and places[0] > 0
