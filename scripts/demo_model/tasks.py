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
TELL_SUM = [
    "{result}",
    "The answer is {result}.",
    "{a} {sign} {b} = {result}",
    "It is {result}.",
    "{a}{sign}{b}=<<{a}{sign}{b}={result}>>{result}\nA: {result}",
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
    "bullets": "as a bulleted list",
    "numbers": "as a numbered list",
    "commas": "separated by commas",
    "lines": "one per line",
    "capitals": "in capital letters",
    "json": "as a JSON list",
    "sentence": "in one full sentence",
}
ASK_LIST = [
    "Name {count} {topic}, {form}.",
    "Give me {count} {topic} {form}.",
    "List {count} {topic} {form}, nothing else.",
    "I need {count} {topic}. Write them {form}.",
]

# --- code -------------------------------------------------------------------------------------
ASK_CODE = [
    "Write a {language} function that returns {task}.",
    "In {language}, compute {task}.",
    "Implement a function in {language} for {task}.",
    "I need {language} code that gives {task}.",
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
