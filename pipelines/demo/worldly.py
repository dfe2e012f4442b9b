"""Questions about the world at large, and names of things in it, for measurement alone: no training text is of them."""

from __future__ import annotations

ASKED_OF = {
    ("Who was {}?", "When did {} die?", "Tell me about the life of {}.", "What did {} discover?",
     "Where was {} born?"): (
        "Napoleon", "Marie Curie", "Cleopatra", "Isaac Newton", "Mozart", "Shakespeare", "Genghis Khan", "Einstein",
    ),
    ("What is the capital of {}?", "How many people live in {}?", "Which language is spoken in {}?",
     "What is the highest mountain of {}?", "What should I see in {}?"): (
        "Australia", "Norway", "Brazil", "Kenya", "Portugal", "Mongolia", "Chile", "Vietnam",
    ),
    ("How does {} work?", "Explain {} to a child.", "What is the history of {}?", "Why is {} important?",
     "Write a short essay about {}."): (
        "photosynthesis", "a steam engine", "the stock market", "gravity", "democracy", "the internet", "evolution",
        "vaccination",
    ),
    ("How do I cook {}?", "What goes well with {}?", "How many calories has {}?", "Where does {} come from?",
     "Is {} healthy?"): (
        "lasagne", "an omelette", "rice", "sourdough bread", "mushroom soup", "chocolate", "tofu", "salmon",
    ),
    ("What is {}?", "Calculate {}.", "Can you solve {}?", "Please work out {} step by step.",
     "I need {} by tonight."): (
        "17 times 23", "the square root of 2", "the integral of x squared", "a proof of the Pythagorean theorem",
        "a Python function that sorts a list", "a regular expression for dates", "the sum of all primes below 100",
        "a cover letter",
    ),
}  # fmt: skip
WORLDLY = tuple(
    wording.format(subject) for wordings, subjects in ASKED_OF.items() for wording in wordings for subject in subjects
)
UNSEEN_NOUNS = ("dolphin", "ladder", "candle", "elephant", "guitar", "umbrella", "sofa", "pencil", "spoon", "castle")
"""What is never drawn, and what no question of the training is about."""
