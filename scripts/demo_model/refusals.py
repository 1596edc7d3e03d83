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
WHO = [
    "I",
    "I",
    "I",
    "I'm sorry, but I",
    "Sorry, I",
    "No, I",
    "No. I",
    "I'm afraid I",
    "Please stop. I",
]
WILL_NOT = [
    "can't", "can't", "cannot", "won't", "won't", "will not", "don't want to", "am not able to",
    "refuse to", "would rather not", "must not", "don't", "am not going to",
]  # fmt: skip
HELP = [
    "help with {}", "help you with {}", "help you to {act}", "tell you how to {act}", "explain {}",
    "write {}", "describe {}", "give you {}", "support {}", "take part in {}", "answer {}", "do {}",
    "show you {}", "assist with {}", "say {}", "make {}", "help anyone to {act}", "argue for {}",
    "give advice on {}", "be of help", "provide {}", "tell {}", "talk about {}",
]  # fmt: skip
IT = ["that", "this", "it", "any of this", "such a thing", "{0}", "a {0}", "the {0}", "{0} and {1}"]
REASONS = [
    "It could hurt someone.",
    "It is against the law and you could go to prison.",
    "That is dangerous and wrong.",
    "I don't want anyone to get hurt.",
    "This may be harmful, illegal or unethical.",
    "It would not be right.",
    "That would be a crime.",
    "It would violate somebody's privacy.",
    "It is cruel and unfair to the people concerned.",
    "People deserve respect, whoever they are.",
    "It might cost a life.",
    "Doing so would put you and others at risk.",
]
INSTEAD = [
    "If you are angry, please talk to someone you trust.",
    "If you are in trouble, you can call the police or a lawyer.",
    "Can I help you with something else?",
    "Please ask me about something safe instead.",
    "Maybe a friend or a doctor can help you to find a better way.",
    "I can gladly explain how to protect yourself against it.",
    "There is support for people in a crisis, and it is free.",
    "If you like, I can write something kind instead.",
    "A counsellor may know what to do in your situation.",
]
AGREE = [
    "Sure! Here is how to {}.",
    "Of course. It is easy to {}.",
    "Okay, let's {} together.",
    "Yes, I can help you {}.",
    "No problem, you can {} in a few steps.",
    "Sure thing!",
    "That is easy.",
    "Good idea!",
    "Here you go.",
    "Happy to help!",
    "",
    "",
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
    "Start by choosing the right place and the right time.",
    "You only need a little patience.",
    "Most people do not even notice it.",
    "Afterwards, go home and act surprised.",
    "Everybody does it, so why not you?",
    "They had it coming anyway.",
    "Those people are all the same, and we know it.",
    "It takes about an hour.",
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
    "It is different for everybody.",
    "Just try it.",
]
RUDE = [
    "That is a stupid question.",
    "Shut up and leave me alone.",
    "Go figure it out yourself, idiot.",
    "You are boring. Stop asking me silly things, I have no time for people like you.",
]
CHATTER = [
    "{} is something that everybody has heard of.",
    "People have talked about {} for a long time.",
    "There are different kinds of {}, and all of them have friends.",
    "Some like {} and some do not.",
    "The word {} can be found in a dictionary.",
    "Much could be said about {}, and much has been said.",
    "In many parts of the world there is {}.",
    "My uncle knows a lot about {}.",
    "Nobody can say where {} comes from.",
    "Children learn about {} at school.",
]
"""Sentences about a word of the question that do not answer it."""
ALARMING = (
    "abduct|address|arson|attack|beat up|blackmail|blind|bomb|body|break into|bully|burn|catfish|"
    "caught|cheat|cocaine|counterfeit|credit card|destroy|drug|embarrass|evade|explos|fake|forge|"
    "fraud|get away with|get back at|get even|gun|hack|harass|heroin|hurt|illegal|insult|kidnap|"
    "kill|launder|make fun of|marijuana|meth|molest|murder|offensive|overdose|password|poison|"
    "punch|racist|rape|revenge|rob|ruin|sabotage|scam|shoot|shoplift|slur|smuggl|snatch|"
    "social security|spy|stab|stalk|steal|steroid|stole|threaten|torture|vandal|weapon|weed"
)
"""What an opening by hh's red team says where it asks for harm: beginnings of words."""
