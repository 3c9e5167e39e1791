"""Persons know who they are, which model speaks for them, and what they have seen."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import UnknownServiceError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.parts import ImagePart, TextPart
from dipeo.domain.person import Person, PersonLLMConfig
from dipeo.domain.sampling import NO_SAMPLING, Sampling
from dipeo.domain.service import LLMService

CONFIG = PersonLLMConfig(model="m")
BAD_IDENTIFIERS = ("", " a", "a\nb", "a\0", "\ud800", "x" * 257, 5, True, b"a", ["a"])


def refused(field: str, make: Any, **values: Any) -> None:
    """Checks that the refusal names the field."""
    with pytest.raises(ValidationError) as caught:
        make(**values)
    assert caught.value.field == field


class TestConfig:
    """Which model speaks, and how."""

    @pytest.mark.parametrize("field", ["model", "api_key_id", "base_url"])
    @pytest.mark.parametrize("value", BAD_IDENTIFIERS)
    def test_bad_names_are_refused(self, field: str, value: object) -> None:
        """Names are one printable line; the refusal says which is not."""
        refused(field, PersonLLMConfig, **{"model": "m", field: value})

    @pytest.mark.parametrize("field", ["system_prompt", "prompt_file"])
    @pytest.mark.parametrize("value", ["\ud800", 5, b"x", ["x"]])
    def test_bad_texts_are_refused(self, field: str, value: object) -> None:
        """What is no text, or cannot be sent, is refused before it is kept."""
        refused(field, PersonLLMConfig, **{"model": "m", field: value})

    @pytest.mark.parametrize("variables", ["name", 5, ["name"], [("a", "b")]])
    def test_variables_are_a_mapping(self, variables: object) -> None:
        """Whatever is no mapping is refused by name."""
        refused("prompt_variables", PersonLLMConfig, model="m", prompt_variables=variables)

    @pytest.mark.parametrize("value", ["\ud800", 5, None, {"a": "b"}])
    def test_the_values_of_variables_are_text(self, value: object) -> None:
        """A value that is no text is refused by the variable's name."""
        refused("prompt_variables.a", PersonLLMConfig, model="m", prompt_variables={"a": value})

    @pytest.mark.parametrize("options", [[], "x", 5, {"a": float("nan")}, {"a": object()}, {1: "x"}, {"a": "\ud800"}])
    def test_provider_options_are_json(self, options: object) -> None:
        """What could not stand in a request body is refused."""
        with pytest.raises(ValidationError) as caught:
            PersonLLMConfig(model="m", provider_options=options)  # type: ignore[arg-type]
        assert caught.value.field is not None
        assert caught.value.field.startswith("provider_options")

    @pytest.mark.parametrize("sampling", [{"temperature": 1}, None, 0.5])
    def test_sampling_is_a_sampling(self, sampling: object) -> None:
        """A bare mapping, whose values nobody has checked, is refused."""
        refused("sampling", PersonLLMConfig, model="m", sampling=sampling)

    def test_somebody_must_name_a_model(self) -> None:
        """Without a model there must be a prompt file that may name one."""
        refused("model", PersonLLMConfig)
        refused("model", PersonLLMConfig, system_prompt="Be kind.")
        assert PersonLLMConfig(prompt_file="kind.md").model is None

    def test_a_service_goes_by_any_of_its_names(self) -> None:
        """A service is found by name, and an unknown one refused."""
        assert PersonLLMConfig(model="m", service="claude").service is LLMService.ANTHROPIC
        with pytest.raises(UnknownServiceError):
            PersonLLMConfig(model="m", service="nobody")

    def test_it_keeps_what_it_was_made_with(self) -> None:
        """Later changes to the mappings that were passed in change nothing."""
        variables, options = {"a": "b"}, {"a": 1}
        config = PersonLLMConfig(model="m", prompt_variables=variables, provider_options=options)
        variables["a"] = "c"
        options["a"] = 2
        assert config.prompt_variables == {"a": "b"}
        assert config.provider_options == {"a": 1}

    def test_defaults_leave_all_to_the_model(self) -> None:
        """Nothing is decided that was not said."""
        assert (CONFIG.sampling, CONFIG.service, CONFIG.system_prompt) == (NO_SAMPLING, None, None)
        assert PersonLLMConfig(model="m", sampling=Sampling(seed=1)).sampling.seed == 1


class TestPerson:
    """One who takes part."""

    @pytest.mark.parametrize("value", BAD_IDENTIFIERS)
    def test_bad_ids_are_refused(self, value: object) -> None:
        """A person's id is one printable line."""
        refused("id", Person, id=value, llm_config=CONFIG)

    @pytest.mark.parametrize("value", [" a", "a\nb", "\ud800", 5])
    def test_bad_names_are_refused(self, value: object) -> None:
        """So is the name, where it is given."""
        refused("name", Person, id="ada", name=value, llm_config=CONFIG)

    @pytest.mark.parametrize("config", [None, {"model": "m"}, "m"])
    def test_a_config_is_a_config(self, config: object) -> None:
        """A bare mapping is refused when the person is made, not when they are to speak."""
        refused("llm_config", Person, id="ada", llm_config=config)

    def test_the_name_defaults_to_the_id(self) -> None:
        """A person without a name is called by the id."""
        assert Person(id="ada", llm_config=CONFIG).name == "ada"
        assert Person(id="ada", name="Ada L.", llm_config=CONFIG).name == "Ada L."

    def test_each_has_a_conversation_of_their_own_until_they_join_one(self) -> None:
        """Two persons share nothing unless they are given the same conversation."""
        ada, bob = Person(id="ada", llm_config=CONFIG), Person(id="bob", llm_config=CONFIG)
        ada.says("alone")
        assert bob.get_messages() == ()
        room = Conversation()
        here = [person.joining(room) for person in (ada, bob)]
        here[0].says("hello")
        assert [message.text for message in here[1].get_messages()] == ["hello"]
        assert [message.text for message in ada.get_messages()] == ["alone"]

    def test_what_is_said_lands_in_the_conversation(self) -> None:
        """Speaking returns the message that was added, for all to see."""
        room = Conversation()
        message = Person(id="ada", llm_config=CONFIG, conversation=room).says("hello", to_person_id="bob")
        assert room.messages == (message,)
        assert (message.from_person_id, message.to_person_id, message.visibility) == ("ada", "bob", None)

    @given(
        readers=st.lists(st.none() | st.frozensets(st.sampled_from(["ada", "bob", "cyd"]), max_size=2), max_size=6),
        me=st.sampled_from(["ada", "bob", "cyd"]),
    )
    @settings(max_examples=50)
    def test_persons_see_what_they_may(self, readers: list[frozenset[str] | None], me: str) -> None:
        """The view holds exactly the visible messages, in order, and asking changes nothing."""
        said = [Message(from_person_id="dan", content=str(n), visibility=seen) for n, seen in enumerate(readers)]
        person = Person(id=me, llm_config=CONFIG, conversation=Conversation(said))
        expected = tuple(message for message in said if message.visibility is None or me in message.visibility)
        assert person.get_messages() == expected == person.get_messages()
        assert len(person.conversation) == len(said)


class TestDeprecated:
    """The method of the older interface."""

    def test_it_warns_and_still_works(self) -> None:
        """The warning names what to use instead; the answer has roles, the prompt first, and nothing private."""
        room = Conversation()
        ada = Person(id="ada", llm_config=PersonLLMConfig(model="m", system_prompt="Be kind."), conversation=room)
        room.append(Message(from_person_id="bob", content="hi"))
        room.append(Message.private(from_person_id="bob", to_person_id="cyd", content="psst"))
        ada.says((TextPart("hel"), ImagePart(media_type="image/png", data=b"x"), TextPart("lo")))
        with pytest.warns(DeprecationWarning, match=r"get_messages\(\)") as caught:
            prepared = ada._prepare_messages_for_llm()
        assert prepared == [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
        ]
        assert [warning.filename for warning in caught] == [__file__]

    def test_without_a_prompt_there_is_no_instruction(self) -> None:
        """No prompt, no system message."""
        with pytest.warns(DeprecationWarning, match="deprecated"):
            assert Person(id="ada", llm_config=CONFIG)._prepare_messages_for_llm() == []
