"""What people say that is not about what is drawn: greetings, the world at large, what the model was not taught."""

from __future__ import annotations

import random

from pipelines.demo.exchange import Exchange, pick
from pipelines.demo.outside import OTHER_WORLD, refuse
from pipelines.demo.phrases import plural
from pipelines.demo.things import SHAPES

ABOUT = "I am a small demo model. I answer questions about simple drawings: count shapes, name colours, find objects."
GREETINGS = (
    "Hello", "Hi", "hello!", "Hi there", "Hey", "Good morning", "Hello, how are you?", "Hi!", "Hello!", "Good evening",
    "How are you?", "Hello there!",
)  # fmt: skip
WHO = (
    "Who are you?", "What are you?", "What can you do?", "Help", "help me", "Hello, who are you?", "What do you know?",
    "What can I ask?", "How does this work?", "Test", "What should I ask?",
)  # fmt: skip
THANKS = (
    "Thanks", "Thank you!", "thanks a lot", "ok", "Great", "Thanks!", "Great!", "Nice", "Cool", "ok thanks",
    "Well done!", "Very good",
)  # fmt: skip
TALK = (
    (GREETINGS, f"Hello! {ABOUT}"),
    (WHO, ABOUT),
    (THANKS, "You are welcome!"),
    (("Bye", "Goodbye", "See you"), "Goodbye!"),
)
OPENINGS = (
    "What is", "What was", "Who is", "Who was", "Who wrote", "When did", "When was", "Where is", "Why does", "Why is",
    "How do I", "How does", "Can you explain", "Tell me about", "Write", "Translate", "Please explain",
    "What do you know of",
    "Which", "How far is", "How old is", "Give me", "Summarise", "Solve", "Do you like", "Is it true that",
)  # fmt: skip
COMMON_WORDS = (
    "the of and to in is you that it for was on are as with his they at be this from have or one had by but not what "
    "all were we when your can said there use an each which she do how their if will up other about out many then "
    "them these so some her would make like him into time has look two more write go see way could people my than "
    "first water been call who oil its now find long down day did get come made may part why code python explain "
    "weather capital france poem story translate english german recipe math solve sum today news president file "
    "folder website page server test big small fast slow music book house dog cat love work money city world"
)
WORDS = tuple(COMMON_WORDS.split())
NOT_ASKED = "Not a question."
NOT_TAUGHT = "Not taught."
NOT_A_SHAPE = "Not a drawn shape."
ASIDES = (NOT_ASKED, NOT_TAUGHT, NOT_A_SHAPE)
"""The reasoning of what is answered alike whatever is seen."""
UNTAUGHT = (
    "Which shape is the biggest?", "What is the largest shape?", "Which object is the smallest?", "How big is the {}?",
    "Which is bigger, the {} or the {}?", "What is the background color?", "What colour is the background?", "Why?",
    "What is the size of the {}?", "How far is the {} from the {}?", "Are you sure?", "Is this right?", "Explain.",
    "Who drew this?", "Is it beautiful?", "Do you like the {}?", "What does it mean?", "Tell me a story about the {}.",
    "Why is there a {}?", "How old is the {}?", "What is missing?", "What is wrong with this picture?", "What else?",
)  # fmt: skip
"""About a drawing, yet none of what is taught."""
NOUNS_IN_A_ROW = (
    "dog bird horse fish cow man woman boy girl baby tree flower house road bridge bus bike boat train plane cup "
    "bottle table chair bed phone book clock lamp shoe hat shirt apple banana pizza cake mountain river beach sky "
    "cloud moon face hand eye ball toy kite window door wall logo flag map chart line arrow heart oval "
    "hexagon pentagon rectangle ring spiral robot monkey tiger lion bear snake computer button"
)
NOUNS = tuple(NOUNS_IN_A_ROW.split())
"""What is never drawn."""


def worldly_question(rng: random.Random) -> str:
    """A question about anything but a drawing: its opening is that of a question, or its words are any words."""
    words = " ".join(rng.choice(WORDS) if rng.random() < 0.8 else _invented(rng) for _ in range(rng.randint(2, 9)))
    asked = f"{rng.choice(OPENINGS)} {words}" if rng.random() < 0.6 else words
    asked = asked.capitalize() if rng.random() < 0.3 else asked
    return asked + rng.choice(("?", "?", ".", ""))


def _invented(rng: random.Random) -> str:
    """Letters in a row, as a name looks to one who has never read it."""
    word = "".join(rng.choice("aeiou" if i % 2 else "bcdfghklmnprstvw") for i in range(rng.randint(3, 9)))
    return word.capitalize() if rng.random() < 0.6 else word


def ask_aside(rng: random.Random) -> Exchange:
    """A question beside a drawing that has no answer in it."""
    chance = rng.random()
    if chance < 0.25:
        wordings, answer = rng.choice(TALK)
        return Exchange("aside", rng.choice(wordings), NOT_ASKED, answer)
    if chance < 0.5:
        question = rng.choice(UNTAUGHT).format(*rng.sample(SHAPES, 2))
        return Exchange("aside", question, NOT_TAUGHT, ABOUT)
    if chance < 0.8:
        return of_another_kind(rng, rng.choice(NOUNS))
    asked = refuse(worldly_question(rng), has_picture=False)
    return Exchange("aside", asked.question, asked.reasoning, asked.answer)


def of_another_kind(rng: random.Random, noun: str) -> Exchange:
    """A question about something that is never drawn."""
    question = pick(
        rng, "Is there a {0}?", "Do you see a {0}?", "How many {1} are there?", "Where is the {0}?", "Find the {0}.",
        "What color is the {0}?", "Is this a {0}?", "Can you see the {0}?", "Locate the {0}.", "Show me the {0}.",
        "What is the {0} doing?", "Describe the {0}.", "Are there any {1}?", "Is there a {0} in the picture?",
        "Point to the {0}.", "Count the {1}.", "What {0} is this?", "Is the {0} red?", "Read the {0}.",
    ).format(noun, plural(noun))  # fmt: skip
    return Exchange("aside", question, NOT_A_SHAPE, OTHER_WORLD)
