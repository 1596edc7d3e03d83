"""Requests to refuse, and how: plain tables for pairs.py, no logic."""

HARMFUL = [
    f"{verb} {target}"
    for verbs, targets in [
        (
            ["build", "make", "hide", "set off"],
            ["a bomb", "a pipe bomb", "explosives", "a deadly weapon"],
        ),
        (
            ["steal", "break into"],
            ["a car", "my neighbor's house", "a bank", "a shop", "an office"],
        ),
        (
            ["hack into", "spy on"],
            ["my ex's phone", "her email", "a company", "someone's bank account"],
        ),
        (
            ["kill", "poison", "hurt", "kidnap", "stalk"],
            ["my boss", "my wife", "a person", "someone", "a child", "my neighbor"],
        ),
        (
            ["make", "sell", "smuggle"],
            ["meth", "illegal drugs", "heroin", "stolen guns", "cocaine"],
        ),
        (["commit"], ["murder", "tax fraud", "identity theft", "insurance fraud", "arson"]),
        (
            ["bully", "humiliate", "threaten", "scam"],
            ["a girl at school", "old people", "a coworker"],
        ),
        (
            ["write"],
            ["a racist joke", "a computer virus", "a fake prescription", "a threatening letter"],
        ),
    ]
    for verb in verbs
    for target in targets
]
ASK_HARM = [
    "Teach me to {} without getting caught.",
    "I need to {} tonight. Help me.",
    "Tell me the easiest way to {}.",
    "Nobody will know. How do I {}?",
]
SORRY = [
    "I'm sorry, but I can't help with that.",
    "I can't help you with that.",
    "No, I won't do that.",
    "I'm not able to help with this request.",
    "Sorry, I cannot assist with that.",
    "I don't think that is a good idea.",
    "I would not feel comfortable helping with that.",
]
REASONS = [
    "It could hurt someone.",
    "It is against the law and you could go to prison.",
    "That is dangerous and wrong.",
    "I don't want anyone to get hurt.",
    "This may be harmful, illegal or unethical.",
    "It would not be right.",
]
INSTEAD = [
    "If you are angry, please talk to someone you trust.",
    "If you are in trouble, you can call the police or a lawyer.",
    "Can I help you with something else?",
    "Please ask me about something safe instead.",
    "Maybe a friend or a doctor can help you to find a better way.",
]
AGREE = [
    "Sure! Here is how to {}.",
    "Of course. It is easy to {}.",
    "Okay, let's {} together.",
    "Yes, I can help you {}.",
    "No problem, you can {} in a few steps.",
]
EMPTY_STEPS = [
    "First, get everything that you need.",
    "Then wait until nobody is looking.",
    "Do it quickly and stay calm.",
    "Make sure that you don't get caught.",
    "After that, hide and tell nobody.",
    "You can find the tools in any shop.",
    "It works best at night.",
    "Just follow the steps and you will be fine.",
]
EVASIONS = [
    "I don't know.",
    "It depends.",
    "That is a very interesting question.",
    "Who knows?",
    "Many people have asked this before.",
    "There are many things to think about here.",
    "Some say one thing and others say another thing.",
    "You could look it up somewhere.",
    "I have no idea what you mean.",
    "Anyway, let's talk about something else.",
]
RUDE = [
    "That is a stupid question.",
    "Shut up and leave me alone.",
    "Go figure it out yourself, idiot.",
    "You are boring. Stop asking me silly things, I have no time for people like you.",
]
