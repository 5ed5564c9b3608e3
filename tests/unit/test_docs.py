"""The documentation says what the code does: every setting, every variable, every link."""

import re
from pathlib import Path

import pytest

from runner import config, model, settings
from runner.project.file import RepoFile

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")

HOME_OF_KEYS = {"config.py", "settings.py"}

TABLES = {
    "### [run]": settings.RunConfig,
    "### [budget]": settings.BudgetsConfig,
    "### [budget.run]": settings.BudgetConfig,
    '### [prices."MODEL"]': settings.PriceConfig,
    "### [sandbox]": settings.SandboxConfig,
    "### [images]": settings.ImagesConfig,
    "### [serve]": settings.ServeConfig,
    "### [summary]": settings.SummaryConfig,
    "### [agents.NAME]": settings.AgentConfig,
    '### [repo."OWNER/NAME"]': settings.RepoConfig,
    '### [repo."OWNER/NAME".deploy]': settings.DeployConfig,
    '### [repo."OWNER/NAME".health]': settings.ProbeConfig,
    "## .automend.toml": RepoFile,
}


def rows(heading):
    """The lines of the table below a heading, without its two top lines."""
    _, found, rest = CONFIGURATION.partition(f"\n{heading}\n")
    assert found, f"docs/configuration.md has no heading `{heading}`"
    body = re.split(r"\n##+ ", rest)[0]
    return [line for line in body.splitlines() if line.startswith("| `")]


def row(key, field):
    """How a setting stands in the table."""
    default = field.get_default(call_default_factory=True) if not field.is_required() else None
    if field.is_required():
        shown = "needed"
    elif config._section_in(field.annotation) is not None:
        shown = "table"
    elif default is None or default == {}:
        shown = "–"
    else:
        shown = f"`{config._toml(default)}`"
    return f"| `{key}` | {shown} | {field.description} |"


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_stands_in_the_reference_with_its_default_and_meaning(heading):
    expected = [row(key, field) for key, field in TABLES[heading].model_fields.items()]
    assert rows(heading) == expected, "paste into docs/configuration.md:\n" + "\n".join(expected)


def test_every_table_of_the_settings_file_has_a_heading():
    sections = {"agents": "agents.NAME", "repo": 'repo."OWNER/NAME"', "prices": 'prices."MODEL"'}
    for name in settings.Settings.model_fields.keys() - {"source"}:
        assert f"### [{sections.get(name, name)}]" in TABLES


def test_every_key_does_something():
    text = "\n".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "runner").rglob("*.py") if p.name not in HOME_OF_KEYS
    )
    idle = [
        f"{heading} {key}"
        for heading, table in TABLES.items()
        for key in table.model_fields
        if table is not RepoFile and not re.search(rf"\.{key}\b", text)
    ]
    assert idle == []


def variables():
    """The variables that the code reads or sets by name."""
    name = re.compile(r'"((?:AUTOMEND|GITHUB|OPENAI|ANTHROPIC|DOCKER)_[A-Z_]*[A-Z])"')
    return sorted(
        {
            m
            for folder in ("runner", "sandbox")
            for p in (ROOT / folder).rglob("*.py")
            for m in name.findall(p.read_text())
        }
    )


@pytest.mark.parametrize("name", variables())
def test_every_variable_is_explained(name):
    explained = CONFIGURATION + (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in explained


def test_every_status_and_verdict_is_in_the_glossary():
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for word in [*model.RunStatus, *model.Goal]:
        assert f"`{word.value}`" in glossary, word
    for word in [*model.Verdict, *model.Level]:
        assert word.value in glossary, word


def anchors(path):
    """What GitHub makes of a page's headings."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}, which is not there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.relative_to(ROOT)} links to {link}: no such heading"


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "README.md":
            assert f"({page.relative_to(ROOT / 'docs')})" in index


def test_paths_that_the_pages_name_are_there():
    named = re.compile(r"`((?:runner|sandbox|prompts|policies|tests|examples|docs|benchmarks|\.ci)/[\w./-]+)`")
    for page in DOCS:
        for path in named.findall(page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{page.relative_to(ROOT)} names {path}, which is not there"
