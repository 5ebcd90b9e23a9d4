"""What a login says of a person, held against the lists."""

import pytest

from studio.errors import AccessError, ConfigError
from studio.service import people
from studio.service.people import Person

ADA = {"email": "Ada@Example.org", "email_verified": True}


@pytest.fixture(autouse=True)
def lists(monkeypatch):
    """No list but those that a test sets."""
    for name in (*people.LISTS.values(), "STUDIO_GROUPS_CLAIM", "STUDIO_MODEL_FOLDERS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize("entry", ["ada@example.org", "ADA@EXAMPLE.ORG", "@example.org", " x@y.z , @Example.org "])
def test_a_person_is_known_by_address_or_domain_in_capitals_or_not(lists, entry):
    lists("STUDIO_MEMBERS", entry)
    assert people.person(ADA) == Person("ada@example.org", "member", "ada@example.org")


@pytest.mark.parametrize("entry", ["", "da@example.org", "@xample.org", "@example.or", "@org", "group:ada@example.org"])
def test_who_is_on_no_list_does_not_enter(lists, entry):
    lists("STUDIO_MEMBERS", entry)
    with pytest.raises(AccessError, match="may not use this studio"):
        people.person(ADA)


@pytest.mark.parametrize("domain", ["evil.example.org", "notexample.org", "example.org.evil.example"])
def test_a_domain_is_taken_whole(lists, domain):
    lists("STUDIO_MEMBERS", "@example.org")
    with pytest.raises(AccessError):
        people.person(ADA | {"email": f"ada@{domain}"})


def test_a_person_on_several_lists_has_the_highest_role(lists):
    lists("STUDIO_VIEWERS", "@example.org")
    assert people.person(ADA).role == "viewer"
    lists("STUDIO_MEMBERS", "@example.org")
    assert people.person(ADA).role == "member"
    lists("STUDIO_ADMINS", "ada@example.org")
    assert people.person(ADA).role == "admin"
    assert people.person(ADA | {"email": "bob@example.org"}).role == "member"


def test_a_group_counts_where_the_provider_names_it_in_its_claim(lists):
    lists("STUDIO_MEMBERS", "group:Research")
    assert people.person(ADA | {"groups": ["all", "Research"]}).role == "member"
    assert people.person(ADA | {"groups": "Research"}).role == "member"
    for groups in (["research"], ["group:Research"], {"Research": 1}, None, [["Research"]], "Research,all"):
        with pytest.raises(AccessError):
            people.person(ADA | {"groups": groups})
    lists("STUDIO_GROUPS_CLAIM", "roles")
    assert people.person(ADA | {"roles": ["Research"]}).role == "member"
    with pytest.raises(AccessError):
        people.person(ADA | {"groups": ["Research"]})


@pytest.mark.parametrize("told", [False, None, "false", 1.5, "yes", [], "True "])
def test_an_address_that_is_not_verified_does_not_enter(lists, told):
    lists("STUDIO_ADMINS", "ada@example.org")
    with pytest.raises(AccessError, match="is not verified"):
        people.person(ADA | {"email_verified": told})
    with pytest.raises(AccessError, match="is not verified"):
        people.person({"email": "ada@example.org"})


@pytest.mark.parametrize(
    "address",
    [None, 1, "", "ada", "@example.org", "ada@", "a@b@example.org", "ada @example.org", "\u212aada@example.org"],
)
def test_what_is_no_plain_address_does_not_enter(lists, address):
    lists("STUDIO_ADMINS", "@example.org, kada@example.org")
    with pytest.raises(AccessError, match="no email address"):
        people.person(ADA | {"email": address})


@pytest.mark.parametrize("entry", ["everybody", "*", "ada@", "@", "group:", "a b@example.org"])
def test_a_list_with_an_entry_that_names_nobody_is_refused(lists, entry):
    lists("STUDIO_ADMINS", f"ada@example.org, {entry}")
    with pytest.raises(ConfigError, match="STUDIO_ADMINS names"):
        people.lists()


def test_only_an_owner_or_an_admin_may_change_what_was_made(lists):
    ada = Person("ada@example.org", "member", "ada@example.org")
    assert ada.may_change("ada@example.org")
    assert not ada.may_change("bob@example.org")
    assert not ada.may_change(None)
    assert not Person("ada@example.org", "viewer", "ada@example.org").may_change("ada@example.org")
    assert people.local().may_change("bob@example.org")
    assert people.local().may_change(None)


def test_a_folder_of_models_is_one_that_the_setting_names_wherever_links_lead(lists, tmp_path):
    allowed, secret = tmp_path / "models", tmp_path / "secret"
    allowed.mkdir(), secret.mkdir()
    (allowed / "way out").symlink_to(secret)
    assert not people.may_open(allowed)
    lists("STUDIO_MODEL_FOLDERS", str(allowed))
    assert people.may_open(allowed / "bert")
    for folder in (secret, allowed / ".." / "secret", allowed / "way out", tmp_path / "models-of-others", tmp_path):
        assert not people.may_open(folder)
