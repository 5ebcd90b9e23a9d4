"""What the pages show to whom: a viewer, a member, an admin."""

import pytest

from pages import _pictures as pictures
from pages import _studio
from studio.pipeline.answers import Estimate
from studio.service import people, questions
from studio.service.people import Person
from tests.pages.conftest import opened, words, written


@pytest.fixture
def as_person(monkeypatch):
    """The pages of a server with a login, as somebody of this role sees them."""
    monkeypatch.setattr(_studio, "needs_login", lambda: True)

    class User(dict):
        def to_dict(self):
            return dict(self)

    def sign(role, name="ada"):
        person = Person(f"{name}@example.org", role, f"{name}@example.org")
        monkeypatch.setattr(people, "person", lambda claims: person)
        monkeypatch.setattr(_studio.st, "user", User(is_logged_in=True))

    return sign


def keys(app):
    return {button.key for button in app.button}


def test_a_viewer_sees_runs_results_and_data_and_no_button_that_changes_them(app, filled, as_person):
    as_person("viewer")
    opened(app, "results.py", run="1")
    assert "The student kept 97" in words(app)
    assert not keys(app) & {"get", "again", "prepare", "push"}
    opened(app, "run.py", run="1")
    assert not keys(app) & {"delete", "archive", "resume"}
    opened(app, "run.py", run="3")
    assert not keys(app) & {"stop", "front", "earlier", "later"}
    opened(app, "new_run.py", dataset="1")
    assert "start" not in keys(app)
    opened(app, "data.py")
    assert not app.get("file_uploader")
    assert keys(app) == {"preview-1"}
    opened(app, "home.py")
    assert not [key for key in keys(app) if (key or "").startswith("demo-")]


def test_a_member_starts_runs_and_changes_only_those_that_are_hers(app, filled, as_person):
    as_person("member")
    opened(app, "new_run.py", dataset="1")
    assert "start" in keys(app)
    app.button(key="start").click().run()
    assert filled.run(4).made_by == "ada@example.org"
    opened(app, "run.py", run="4")
    assert "stop" in keys(app)
    assert "by ada@example.org" in words(app).replace("\\", "").replace("\u2060", "")
    opened(app, "run.py", run="3")
    assert "stop" not in keys(app)
    as_person("member", "bob")
    opened(app, "run.py", run="4")
    assert "stop" not in keys(app)


YAML = "dataset: reviews\nteacher: folder:/secret\nstudent: builtin/fasttext-tiny"


def test_a_folder_that_is_not_for_members_is_refused_before_it_is_looked_into(app, filled, as_person, monkeypatch):
    looked = []
    monkeypatch.setattr(questions, "estimate", lambda home, store, config: looked.append(config) or Estimate())
    for role, seen in (("member", 0), ("admin", 1)):
        as_person(role)
        opened(app, "new_run.py", dataset="1")
        app.text_area(key="yaml").input(YAML).run()
        looked.clear()
        app.button(key="use-yaml").click().run()
        assert len([config for config in looked if config.teacher == "folder:/secret"]) == seen
        assert ("folder:/secret is elsewhere" in words(app).replace("\\", "").replace("\u2060", "")) is (
            role == "member"
        )
        app.button(key="drop-yaml").click().run()


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_why_a_folder_is_refused_is_said_where_nothing_is_folded(app, filled, as_person, role):
    as_person("member")
    opened(app, "new_run.py", dataset="1", **{role: "folder:/secret"})
    assert f"Choose a {role} to continue." in words(app)
    said = "Only an admin can open this folder"
    assert said in words(app)
    assert not [one for fold in app.expander for one in fold.error if said in one.value]
    as_person("admin")
    assert said not in words(app.run())


def test_only_an_admin_reads_the_audit_log(app, filled, as_person):
    filled.note("eve@example.org", "refused login", "<b>")
    for role, sees in (("viewer", False), ("member", False), ("admin", True)):
        as_person(role)
        app.query_params.clear()
        opened(app, "settings.py")
        assert f"ada@example.org, {role}" in words(app).replace("\\", "").replace("\u2060", "")
        opened(app, "settings.py", part="audit")
        assert ("refused sign-in" in written(app)) is sees


def test_what_a_teacher_was_asked_is_seen_and_deleted_by_an_admin_alone(app, home, as_person):
    file = home.asked / f"{'a' * 32}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"model": "large", "host": "h.example"}\n')
    for role, sees in (("member", False), ("admin", True)):
        as_person(role)
        app.query_params.clear()
        opened(app, "settings.py")
        told = words(opened(app, "settings.py", part="disk"))
        assert "free" in told
        assert ("large · h.example" in told.replace("\\", "")) is sees
    app.button(key=f"delete-{file.stem}").click().run()
    assert not app.exception
    assert not file.exists()


def test_data_sets_and_runs_are_listed_by_size_with_what_uses_them_and_the_way_to_them(app, filled, home):
    home.model(1, "student").mkdir(parents=True)
    (home.model(1, "student") / "model.safetensors").write_bytes(bytes(10**7))
    opened(app, "settings.py")
    app = opened(app, "settings.py", part="disk")
    app.toggle(key="by-size").set_value(True).run()
    assert not app.exception
    listed = [(link.proto.label, link.proto.query_string) for link in app.get("page_link")]
    assert listed[:2] == [("Run 1", "run=1"), ("reviews", "")]
    assert "10 MB · no run uses it" in words(app)
    assert "used by run 1, 2, 3" in words(app)


def test_who_sits_at_this_machine_is_admin_and_has_nothing_to_sign_out_of(app, filled):
    opened(app, "settings.py")
    assert "sign-out" not in keys(app)
    assert "Audit log" in [tab.label for tab in app.tabs]
    opened(app, "run.py", run="1")
    assert "delete" in keys(app)


def test_a_viewer_reads_what_is_set_and_once_that_an_admin_can_change_it(app, as_person):
    as_person("viewer")
    app = opened(app, "settings.py")
    assert words(app).count("an admin can change") == 1
    assert not app.get("text_input") and not app.get("text_area")
    assert [one.value for one in app.markdown].count("None") == 3  # folders, webhook, trackers


def test_what_takes_nothing_has_no_bar():
    drawn = pictures.amounts({"Data sets": (0, "0 B"), "Runs": (5e6, "5 MB"), "Uploads": (1, "1 B")})
    assert str(drawn).count("<i") == 2 and "0 B" in str(drawn)
