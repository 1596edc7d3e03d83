"""Sums, lists and small functions for demo_pairs.py: plain tables, no logic."""

# --- sums -------------------------------------------------------------------------------------
ASK_SUM = {
    "+": [
        "What is {a} + {b}?",
        "What is {a} plus {b}?",
        "Add {a} and {b}.",
        "Compute {a}+{b}.",
        "Tom has {a} apples and gets {b} more. How many does he have now?",
    ],
    "-": [
        "What is {a} - {b}?",
        "What is {a} minus {b}?",
        "Subtract {b} from {a}.",
        "Compute {a}-{b}.",
        "Anna had {a} coins and spent {b}. How many are left?",
    ],
    "*": [
        "What is {a} * {b}?",
        "What is {a} times {b}?",
        "Multiply {a} by {b}.",
        "Compute {a}*{b}.",
        "There are {a} boxes with {b} pens each. How many pens are there?",
    ],
}
RESULTS = [
    "The answer is {}.",
    "Answer: {}",
    "So the result is {}.",
    "That makes {}.",
    "A: {}",
    "#### {}",
    "The total is therefore {}.",
]
TELL_SUM = [
    "{result}",
    "The answer is {result}.",
    "{a} {sign} {b} = {result}",
    "It is {result}.",
    "{a} {sign} {b} = {result}, so the result is {result}.",
]

# --- answers about drawn words ------------------------------------------------------------------
ASK_ABOUT = [
    "What does {0} have to do with {1}?",
    "Tell me something about {0} and {1}.",
    "How does the {0} change the {1}?",
    "Why is the {0} next to the {1}?",
    "I have a {0} and a {1}. What now?",
    "Write a line about a {0} with a {1}.",
    "Which {0} goes with this {1}?",
    "Explain {0} to someone who only knows {1}.",
    "Should my {0} be before or after the {1}?",
    "Describe the {0} of a {1}.",
    "Is a {0} better than a {1}?",
    "Translate {0} and {1} for me.",
]
TELL_ABOUT = [
    "A {0} usually comes with a {1}.",
    "The {0} is smaller, and the {1} is older.",
    "Take the {0} first. The {1} can wait until tomorrow.",
    "Both matter: {0} for the start, and {1} for the end.",
    "With {1} the {0} lasts longer, and it costs less.",
    "It was the {1} that made the {0} famous.",
    "{0} means one thing and {1} means another.",
    "Put the {0} below the {1} and press lightly.",
    "Once there was a {0} that loved a {1}.",
    "You need {1}, since {0} alone is not enough.",
    "First comes the {0}, then the {1}, and then you are done.",
    "No {0} works without its {1}.",
]

# --- lists ------------------------------------------------------------------------------------
LISTS = {
    "fruits": [
        "apple",
        "banana",
        "cherry",
        "grape",
        "lemon",
        "mango",
        "orange",
        "peach",
        "pear",
        "plum",
    ],
    "colors": [
        "black",
        "blue",
        "brown",
        "green",
        "orange",
        "pink",
        "purple",
        "red",
        "white",
        "yellow",
    ],
    "animals": ["bear", "cat", "cow", "dog", "duck", "goat", "horse", "lion", "mouse", "sheep"],
    "sports": [
        "boxing",
        "cricket",
        "football",
        "golf",
        "hockey",
        "rowing",
        "rugby",
        "sailing",
        "tennis",
        "running",
    ],
    "tools": [
        "axe",
        "drill",
        "file",
        "hammer",
        "knife",
        "ladder",
        "pliers",
        "saw",
        "shovel",
        "wrench",
    ],
    "jobs": [
        "baker",
        "chef",
        "doctor",
        "farmer",
        "judge",
        "nurse",
        "pilot",
        "singer",
        "teacher",
        "writer",
    ],
}
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven"]
FORMS = {
    "bullets": ["as a bulleted list", "as bullet points", "each on a line that starts with a dash"],
    "numbers": ["as a numbered list", "numbered", "in a list with numbers"],
    "commas": ["separated by commas", "in one line with commas", "as a comma-separated list"],
    "lines": ["one per line", "each on its own line", "one on each line, without numbers"],
    "capitals": ["in capital letters", "in upper case", "all in capitals"],
    "json": ["as a JSON list", "as a JSON array", "as JSON"],
    "sentence": ["in one full sentence", "in a complete sentence", "as a sentence"],
    "semicolons": ["separated by semicolons", "with semicolons between them"],
}
ASK_LIST = [
    "Name {count} {topic}, {form}.",
    "Give me {count} {topic} {form}.",
    "List {count} {topic} {form}, nothing else.",
    "I need {count} {topic}. Write them {form}.",
    "Tell me {count} {topic}, please, {form}.",
    "Please write {count} {topic} {form} and no comment.",
]

# --- code -------------------------------------------------------------------------------------
ASK_CODE = [
    "Write a {language} function {name} that returns {task}.",
    "In {language}, write {name}, which computes {task}.",
    "Implement a function `{name}` in {language} for {task}.",
    "I need {language} code that gives {task}. Call it {name}.",
]
EXPRESSIONS = [
    ("the sum of two numbers", "%(a)s + %(b)s"),
    ("the difference of two numbers", "%(a)s - %(b)s"),
    ("the product of two numbers", "%(a)s * %(b)s"),
    ("the quotient of two numbers", "%(a)s / %(b)s"),
    ("the remainder of a division", "%(a)s %% %(b)s"),
    ("the average of two numbers", "(%(a)s + %(b)s) / 2"),
    ("twice the sum of two numbers", "2 * (%(a)s + %(b)s)"),
    ("the sum of two squares", "%(a)s * %(a)s + %(b)s * %(b)s"),
    ("the square of the first number", "%(a)s * %(a)s"),
    ("the square of the second number", "%(b)s * %(b)s"),
    ("three times the first number", "3 * %(a)s"),
    ("the negative of the sum", "-(%(a)s + %(b)s)"),
]
LOOPS = [
    ("the sum of a list", "0", "total += x", "true"),
    ("the product of a list", "1", "total *= x", "true"),
    ("the length of a list", "0", "total += 1", "true"),
    ("the sum of the squares in a list", "0", "total += x * x", "true"),
    ("the sum of the positive numbers in a list", "0", "total += x", "x > 0"),
    ("how many numbers in a list are negative", "0", "total += 1", "x < 0"),
    ("how many numbers in a list are positive", "0", "total += 1", "x > 0"),
    ("how many numbers in a list are zero", "0", "total += 1", "x == 0"),
    ("the product of the numbers above one in a list", "1", "total *= x", "x > 1"),
    ("the sum of the even numbers in a list", "0", "total += x", "x % 2 == 0"),
    ("how many numbers in a list are odd", "0", "total += 1", "x % 2 == 1"),
]
_BRACES = (
    "{\n    int total = %(start)s;\n"
    "    for (int x : xs) if (%(test)s) %(step)s;\n    return total;\n}"
)
CODE = {
    "Python": (
        "def %(name)s(%(a)s, %(b)s):\n    return %(e)s",
        "def %(name)s(xs):\n    total = %(start)s\n    for x in xs:\n"
        "        if %(test)s:\n            %(step)s\n    return total",
    ),
    "JavaScript": (
        "function %(name)s(%(a)s, %(b)s) {\n  return %(e)s;\n}",
        "function %(name)s(xs) {\n  let total = %(start)s;\n"
        "  for (const x of xs) if (%(test)s) %(step)s;\n  return total;\n}",
    ),
    "Java": (
        "int %(name)s(int %(a)s, int %(b)s) {\n    return %(e)s;\n}",
        "int %(name)s(int[] xs) " + _BRACES,
    ),
    "C++": (
        "int %(name)s(int %(a)s, int %(b)s) {\n    return %(e)s;\n}",
        "int %(name)s(const std::vector<int>& xs) " + _BRACES,
    ),
    "Go": (
        "func %(name)s(%(a)s, %(b)s int) int {\n\treturn %(e)s\n}",
        "func %(name)s(xs []int) int {\n\ttotal := %(start)s\n"
        "\tfor _, x := range xs {\n\t\tif %(test)s {\n\t\t\t%(step)s\n\t\t}\n\t}\n"
        "\treturn total\n}",
    ),
    "Rust": (
        "fn %(name)s(%(a)s: i32, %(b)s: i32) -> i32 {\n    %(e)s\n}",
        "fn %(name)s(xs: &[i32]) -> i32 {\n    let mut total = %(start)s;\n"
        "    for &x in xs { if %(test)s { %(step)s; } }\n    total\n}",
    ),
}
