"""What may stand in front of a prompt, and what may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipeo.domain.errors import PromptRefusedError
from dipeo.domain.prompt import PromptFile, fill_in
from dipeo.domain.sampling import NO_SAMPLING, ReasoningEffort, Sampling
from dipeo.domain.service import LLMService
from dipeo.infrastructure.prompts.front_matter import parse_prompt


def prompt_with(matter: str, body: str = "Say hello.") -> PromptFile:
    return parse_prompt(f"---\n{matter}\n---\n{body}", name="greeting.md")


def test_every_key_reaches_the_prompt() -> None:
    """All known keys arrive where the prompt file has a place for them."""
    prompt = prompt_with(
        "name: Ada\ndescription: A friend of numbers.\nmodel: gpt-5\nservice: claude\n"
        "fallbacks: [gemini, gpt-4.1]\ntemperature: 0.5\ntop_p: 1\n"
        "max_tokens: 300\nstop: [END, STOP]\nseed: -7\nreasoning_effort: none\nvariables: {topic: engines}"
    )
    assert prompt == PromptFile(
        text="Say hello.",
        name="Ada",
        description="A friend of numbers.",
        model="gpt-5",
        service=LLMService.ANTHROPIC,
        fallbacks=("gemini", "gpt-4.1"),
        sampling=Sampling(
            temperature=0.5,
            top_p=1,
            max_tokens=300,
            stop=("END", "STOP"),
            seed=-7,
            reasoning_effort=ReasoningEffort.NONE,
        ),
        variables={"topic": "engines"},
    )


@pytest.mark.parametrize(
    ("written", "fallbacks"), [("gemini", ("gemini",)), ("[gemini]", ("gemini",)), ("[]", ()), ("", None)]
)
def test_an_empty_list_of_fallbacks_is_no_missing_one(written: str, fallbacks: tuple[str, ...] | None) -> None:
    """One name needs no list; an empty list means nobody, and nothing at all leaves it to the alias."""
    assert prompt_with(f"fallbacks: {written}").fallbacks == fallbacks


def test_sampling_may_be_nested() -> None:
    """Settings under 'sampling' count like settings at the top."""
    prompt = prompt_with("temperature: 1e-1\nsampling:\n  stop: END\n  max_tokens: 5")
    assert prompt.sampling == Sampling(temperature=0.1, stop=("END",), max_tokens=5)


@pytest.mark.parametrize(
    ("written", "default"),
    [
        ("text", "text"),
        ("'1.10'", "1.10"),
        ("1.5", "1.5"),
        ("-3", "-3"),
        ("007", "007"),
        ("no", "no"),
        ("true", "true"),
        ("2024-01-31", "2024-01-31"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("''", ""),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_defaults_of_variables_become_text(written: str, default: str | None) -> None:
    """A default is text, a number, a truth value or nothing, and YAML's surprises stay text."""
    assert prompt_with(f"variables:\n  topic: {written}").variables == {"topic": default}


@pytest.mark.parametrize(
    "text",
    [
        "Say hello.",
        "--- a/file\n+++ b/file",
        "----\nA rule of four dashes.",
        "--- -\nA rule of another kind.",
        "# Title\n\n---\nname: not front matter\n---",
        "+++\ntitle = 'TOML'\n+++",
        '{\n"json": 1\n}',
    ],
)
def test_text_without_front_matter_is_taken_as_it_stands(text: str) -> None:
    """Only a line of exactly three dashes at the very start opens front matter."""
    assert parse_prompt(text, name="greeting.md") == PromptFile(text=text)


def test_a_blank_line_makes_a_thematic_break_text() -> None:
    """What the error for unclosed front matter suggests does help."""
    assert parse_prompt("\n---\nHello.", name="greeting.md").text == "---\nHello."


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_of_either_kind_are_understood(newline: str) -> None:
    """A file written on Windows reads like any other."""
    prompt = parse_prompt(newline.join(["---  ", "name: Ada", "---", "", "One.", "", "Two.", " ", ""]), name="x")
    assert (prompt.name, prompt.text) == ("Ada", "One.\n\nTwo.")


def test_the_text_keeps_its_indentation_and_later_rules() -> None:
    """Blank lines at the edges go, everything else stays, also '---' lines further down."""
    assert prompt_with("name: Ada", "\n  \n    code\n---\nend\n\n").text == "    code\n---\nend"


def test_empty_front_matter_says_nothing() -> None:
    """Two '---' lines with nothing in between are fine."""
    assert prompt_with("") == PromptFile(text="Say hello.", sampling=NO_SAMPLING)


@pytest.mark.parametrize(
    ("matter", "words"),
    [
        ("temprature: 1", "the key 'temprature' is not known (did you mean 'temperature'?)"),
        ("sampling: {sed: 1}", "the key 'sampling.sed' is not known (did you mean 'sampling.seed'?)"),
        ("zzz: 1", "the key 'zzz' is not known."),
        ("1: x", "the key '1' is not known"),
        ("name: 5", "'name' must be text, not a number"),
        ("name: [a]", "'name' must be text, not a list"),
        ("name: ''", "'name' must be 1 to 256"),
        ('model: "a\\nb"', "'model' must be 1 to 256"),
        ('description: "\\ud800"', "'description' holds a lone surrogate"),
        ("service: nobody", "There is no service 'nobody'"),
        ("service: true", "'service' must be text, not true or false"),
        ("fallbacks: 5", "'fallbacks' must be text or a list of texts, not a number"),
        ("fallbacks: [claude, {service: openai}]", "'fallbacks' must be text or a list of texts, not a list"),
        ("fallbacks: ['']", "'fallbacks' must be 1 to 256"),
        (f"fallbacks: [{'a, ' * 11}]", "'fallbacks' has 11 models, 10 at most"),
        ("temperature: warm", "'temperature' must be a number, not text"),
        ("temperature: true", "'temperature' must be a number, not true or false"),
        ("temperature: 3", "'temperature' must be from 0 to 2, not 3"),
        ("temperature: .nan", "'temperature' must be a number, not text"),
        ("temperature: 1e999", "'temperature' must be from 0 to 2, not inf"),
        ("top_p: -0.5", "'top_p' must be from 0 to 1"),
        ("max_tokens: 1.5", "'max_tokens' must be a whole number, not a fraction"),
        ("max_tokens: 0", "'max_tokens' must be from 1"),
        ("seed: 9999999999999999999", "'seed' must be from"),
        (f"seed: {'9' * 5000}", "'seed' must be a number, not text"),
        ("stop: 5", "'stop' must be text or a list of texts, not a number"),
        ("stop: [a, 5]", "'stop' must be text or a list of texts, not a list"),
        ("stop: ['']", "'stop' must hold no empty text"),
        ("reasoning_effort: extreme", "'reasoning_effort' must be one of none"),
        ("reasoning_effort: {a: b}", "'reasoning_effort' must be text, not a mapping"),
        ("seed: 1\nsampling: {seed: 2}", "'seed' stands both at the top and under 'sampling'"),
        ("sampling: hot", "'sampling' must be a mapping, not text"),
        ("variables: [topic]", "'variables' must be a mapping, not a list"),
        ("variables: {to-pic: a}", "'to-pic' cannot be the name of a variable"),
        ("variables: {1: a}", "'1' cannot be the name of a variable"),
        ("variables: {topic: [a]}", "'variables.topic' must be text, a number, true, false or nothing"),
        ("variables: {<<: {a: b}}", "'<<' cannot be the name of a variable"),
        ("- a\n- b", "has front matter that is no mapping"),
        ("just words", "has front matter that is no mapping"),
        ("name: [", "has front matter that is not valid YAML (line 3)"),
        ("name: a\n\tmodel: b", "has front matter that is not valid YAML (line 3)"),
        ("name: \x07", "has front matter that is not valid YAML"),
        ("name: a\nname: b", "uses a key twice in its front matter (line 3)"),
        ("variables: {a: b, a: c}", "uses a key twice"),
        ("? [a]\n: b", "uses keys that are not plain text"),
        ("name: &anchor Ada", "uses anchors or aliases in its front matter (line 2)"),
        ("variables: &a\n  b: *a", "uses anchors or aliases"),
        ("name: !!python/object/apply:os.getcwd []", "uses tags in its front matter (line 2)"),
        ("seed: !!int x", "uses tags"),
        ("name: !Ref x", "uses tags"),
        ("name: " + "[" * 5_000, "uses more than 8 levels of nesting"),
        ("name: " + "a" * 40_000, "has front matter of more than 32,768 characters"),
    ],
)
def test_mistakes_are_refused_by_name(matter: str, words: str) -> None:
    """A mistake in the front matter is refused, naming the file and the key or the line."""
    with pytest.raises(PromptRefusedError) as refusal:
        prompt_with(matter)
    assert str(refusal.value).startswith("The prompt file 'greeting.md' ")
    assert words in str(refusal.value)
    assert refusal.value.field == "prompt_file"
    assert len(str(refusal.value)) < 800


def test_the_refused_key_is_a_fact_of_the_error() -> None:
    """Programs need not read the message to learn which key was refused."""
    with pytest.raises(PromptRefusedError) as refusal:
        prompt_with("sampling: {temperature: 9}")
    assert refusal.value.context == {"key": "temperature"}


@pytest.mark.parametrize("text", ["---", "---\nname: Ada", "---\n\nA text after a thematic break.", "---\n--- x\n----"])
def test_front_matter_must_be_closed(text: str) -> None:
    """A '---' line that nothing closes is refused with the way out."""
    with pytest.raises(PromptRefusedError, match=r"no other '---' line closes.*blank line first"):
        parse_prompt(text, name="greeting.md")


@pytest.mark.parametrize("text", ["", " \n\t\n", "---\nname: Ada\n---\n", "---\n---"])
def test_a_prompt_without_text_is_refused(text: str) -> None:
    """Front matter alone is no prompt."""
    with pytest.raises(PromptRefusedError, match="is empty"):
        parse_prompt(text, name="greeting.md")


def test_broken_yaml_is_not_quoted() -> None:
    """Neither the message nor the chain of causes holds what stands in the file."""
    with pytest.raises(PromptRefusedError) as refusal:
        prompt_with("name: 'canary-5d1c\nmodel: x")
    cause: BaseException | None = refusal.value
    while cause is not None:
        assert "canary-5d1c" not in f"{cause} {cause!r}"
        cause = cause.__cause__ or cause.__context__


@given(st.text("ab_1-é", min_size=1, max_size=4))
def test_variable_names_are_those_that_are_filled_in(name: str) -> None:
    """Front matter declares a variable exactly when a prompt's text can refer to it."""
    try:
        declared = prompt_with(f"variables: {{'{name}': x}}").variables
    except PromptRefusedError:
        declared = {}
    assert (name in declared) == (fill_in(f"{{{name}}}", {name: "filled"}) == "filled")


@given(st.text("-:&*!{}[]'\"\n #|>%@`,?\\ab1\t~<.e", max_size=60))
def test_no_front_matter_breaks_the_reader(matter: str) -> None:
    """Whatever stands between the lines, the outcome is a prompt or a refusal."""
    try:
        prompt = prompt_with(matter)
    except PromptRefusedError:
        return
    assert prompt.text
