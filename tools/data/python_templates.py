"""Small Python functions from a few families, each with doctests, a canonical body and inputs to test it on. CC0-1.0, our own work.

The training text of the embedded model holds functions of the same families made with other seeds (data/README.md).
`functions(d)` yields Function records without end; bodies after the first are other ways to write the same function, used
to check the first.
"""
import random
from dataclasses import dataclass

FILTERS = [("even", "n % 2 == 0"), ("odd", "n % 2 != 0"), ("positive", "n > 0"), ("negative", "n < 0"),
           ("non-zero", "n != 0"), ("divisible by 3", "n % 3 == 0"), ("divisible by 5", "n % 5 == 0"),
           ("greater than 10", "n > 10"), ("less than 10", "n < 10"), ("at least 5", "n >= 5"),
           ("single-digit", "-10 < n < 10")]
MAPS = [("", "n"), ("the squares of", "n * n"), ("the cubes of", "n ** 3"), ("the doubles of", "2 * n"),
        ("the absolute values of", "abs(n)"), ("one more than each of", "n + 1"), ("the negatives of", "-n")]
LISTS = ["numbers", "nums", "values", "items", "lst", "xs", "data"]
STRINGS = ["s", "text", "word", "string", "name", "line"]
INTS = ["n", "num", "x", "value", "number"]
PAIRS = [("a", "b"), ("x", "y"), ("m", "n"), ("width", "height"), ("first", "second")]
WORDS = ["hello", "python", "banana", "level", "racecar", "apple pie", "Hello World", "data science", "noon", "programming",
         "abc", "Mississippi", "open source", "kayak", "tiny model", "Good Morning", "Step on no pets", "aeiou", "xyz", "Zoo"]


@dataclass
class Function:
    name: str
    args: str        # the parameter list
    doc: str
    bodies: list     # canonical body first
    inputs: list     # argument texts; the first two become doctests, all are tested


# family of one list: name, doc, bodies; {v} is the parameter
ON_LISTS = [
    ("second_largest", "Return the second largest number in {v}.",
     ["return sorted(set({v}))[-2]", "{v} = [n for n in {v} if n != max({v})]\nreturn max({v})"]),
    ("rotate_left", "Rotate the list {v} to the left by one.",
     ["return {v}[1:] + {v}[:1]", "return [{v}[(i + 1) % len({v})] for i in range(len({v}))]"]),
    ("without_duplicates", "Return {v} without duplicates, keeping the order.",
     ["result = []\nfor x in {v}:\n    if x not in result:\n        result.append(x)\nreturn result",
      "return list(dict.fromkeys({v}))"]),
    ("running_sum", "Return the running sum of {v}.",
     ["total = 0\nresult = []\nfor x in {v}:\n    total += x\n    result.append(total)\nreturn result",
      "return [sum({v}[:i + 1]) for i in range(len({v}))]"]),
    ("running_max", "Return the running maximum of {v}.",
     ["result = []\nfor x in {v}:\n    result.append(x if not result else max(result[-1], x))\nreturn result",
      "return [max({v}[:i + 1]) for i in range(len({v}))]"]),
    ("range_of", "Return the difference between the largest and smallest number in {v}.",
     ["return max({v}) - min({v})", "return sorted({v})[-1] - sorted({v})[0]"]),
    ("is_sorted", "Check if {v} is sorted in increasing order.",
     ["return all({v}[i] <= {v}[i + 1] for i in range(len({v}) - 1))", "return {v} == sorted({v})"]),
    ("sort_descending", "Return {v} sorted from largest to smallest.",
     ["return sorted({v}, reverse=True)", "return [-n for n in sorted(-n for n in {v})]"]),
    ("pairwise_differences", "Return the differences between neighbours in {v}.",
     ["return [{v}[i + 1] - {v}[i] for i in range(len({v}) - 1)]", "return [b - a for a, b in zip({v}, {v}[1:])]"]),
    ("middle_element", "Return the middle element of {v}.",
     ["return {v}[len({v}) // 2]", "return {v}[len({v}) // 2:][0]"]),
    ("reverse_list", "Return {v} in reverse order.", ["return {v}[::-1]", "return list(reversed({v}))"]),
    ("median_of", "Return the median of {v}.",
     ["s = sorted({v})\nm = len(s) // 2\nif len(s) % 2:\n    return s[m]\nreturn (s[m - 1] + s[m]) / 2",
      "import statistics\nreturn statistics.median({v})"]),
    ("every_other", "Return every second element of {v}.",
     ["return {v}[::2]", "return [x for i, x in enumerate({v}) if i % 2 == 0]"]),
]
ON_STRINGS = [
    ("reverse_{s}", "Return the string {v} reversed.", ["return {v}[::-1]", "return ''.join(reversed({v}))"]),
    ("is_{s}_palindrome", "Check if the string {v} reads the same forwards and backwards.",
     ["return {v} == {v}[::-1]", "return all({v}[i] == {v}[-1 - i] for i in range(len({v})))"]),
    ("count_vowels_in_{s}", "Count the vowels in the string {v}.",
     ["return sum(1 for c in {v}.lower() if c in 'aeiou')", "return len([c for c in {v} if c in 'aeiouAEIOU'])"]),
    ("count_consonants_in_{s}", "Count the consonants in the string {v}.",
     ["return sum(1 for c in {v}.lower() if c.isalpha() and c not in 'aeiou')",
      "return len([c for c in {v}.upper() if c in 'BCDFGHJKLMNPQRSTVWXYZ'])"]),
    ("remove_vowels_from_{s}", "Remove all vowels from the string {v}.",
     ["return ''.join(c for c in {v} if c.lower() not in 'aeiou')",
      "for c in 'aeiouAEIOU':\n    {v} = {v}.replace(c, '')\nreturn {v}"]),
    ("swap_case_{s}", "Swap upper and lower case in {v}.",
     ["return {v}.swapcase()", "return ''.join(c.lower() if c.isupper() else c.upper() for c in {v})"]),
    ("word_count_{s}", "Count the words in {v}.", ["return len({v}.split())", "return sum(1 for w in {v}.split(' ') if w)"]),
    ("longest_word_in_{s}", "Return the longest word in {v}.",
     ["return max({v}.split(), key=len)", "return sorted({v}.split(), key=lambda w: -len(w))[0]"]),
    ("capitalize_words_{s}", "Capitalize the first letter of every word in {v}.",
     ["return ' '.join(w.capitalize() for w in {v}.split())", "return {v}.title()"]),
    ("unique_letters_in_{s}", "Return the sorted unique letters of {v}.",
     ["return sorted(set(c for c in {v} if c.isalpha()))", "return sorted({{c for c in {v} if c != ' '}})"]),
    ("letter_counts_{s}", "Return a dictionary with the count of each character in {v}.",
     ["counts = {{}}\nfor c in {v}:\n    counts[c] = counts.get(c, 0) + 1\nreturn counts",
      "return {{c: {v}.count(c) for c in {v}}}"]),
    ("first_repeated_in_{s}", "Return the first character that appears twice in {v}, or None.",
     ["seen = set()\nfor c in {v}:\n    if c in seen:\n        return c\n    seen.add(c)\nreturn None",
      "for i, c in enumerate({v}):\n    if c in {v}[:i]:\n        return c"]),
    ("initials_{s}", "Return the initials of the words in {v}.",
     ["return ''.join(w[0].upper() for w in {v}.split())", "return ''.join(w[:1] for w in {v}.upper().split())"]),
    ("double_letters_{s}", "Repeat every character of {v} twice.",
     ["return ''.join(c * 2 for c in {v})", "return ''.join(a + b for a, b in zip({v}, {v}))"]),
]
# name, doc, bodies, largest input
ON_INTS = [
    ("factorial_of", "Return the factorial of {v}.",
     ["result = 1\nfor i in range(2, {v} + 1):\n    result *= i\nreturn result", "import math\nreturn math.factorial({v})"], 12),
    ("is_prime_number", "Check if {v} is a prime number.",
     ["if {v} < 2:\n    return False\nfor i in range(2, int({v} ** 0.5) + 1):\n    if {v} % i == 0:\n        return False\nreturn True",
      "return [i for i in range(1, {v} + 1) if {v} % i == 0] == [1, {v}]"], 60),
    ("digit_sum", "Return the sum of the digits of {v}.",
     ["return sum(int(d) for d in str({v}))", "total = 0\nwhile {v}:\n    total += {v} % 10\n    {v} //= 10\nreturn total"], 9999),
    ("nth_fibonacci", "Return the {v}-th Fibonacci number.",
     ["a, b = 0, 1\nfor _ in range({v}):\n    a, b = b, a + b\nreturn a",
      "f = [0, 1]\nwhile len(f) <= {v}:\n    f.append(f[-1] + f[-2])\nreturn f[{v}]"], 25),
    ("list_divisors", "Return all divisors of {v} in increasing order.",
     ["return [i for i in range(1, {v} + 1) if {v} % i == 0]", "return sorted({{{v} // i for i in range(1, {v} + 1) if not {v} % i}})"], 60),
    ("power_of_two", "Check if {v} is a power of two.",
     ["return {v} > 0 and {v} & ({v} - 1) == 0", "return {v} in [2 ** i for i in range(20)]"], 70),
    ("count_digits", "Count the digits of {v}.",
     ["return len(str(abs({v})))", "digits = 1\nwhile {v} >= 10:\n    {v} //= 10\n    digits += 1\nreturn digits"], 99999),
    ("sum_to", "Return the sum of the numbers from 1 to {v}.",
     ["return {v} * ({v} + 1) // 2", "return sum(range({v} + 1))"], 100),
    ("collatz_steps", "Count the steps of the Collatz sequence from {v} to 1.",
     ["steps = 0\nwhile {v} != 1:\n    {v} = {v} // 2 if {v} % 2 == 0 else 3 * {v} + 1\n    steps += 1\nreturn steps",
      "path = [{v}]\nwhile path[-1] > 1:\n    path.append(path[-1] * 3 + 1 if path[-1] % 2 else path[-1] // 2)\nreturn len(path) - 1"], 30),
    ("to_binary", "Return {v} in binary as a string.", ["return bin({v})[2:]", "return format({v}, 'b')"], 64),
    ("primes_up_to", "Return all primes up to {v}.",
     ["primes = []\nfor i in range(2, {v} + 1):\n    if all(i % p != 0 for p in primes):\n        primes.append(i)\nreturn primes",
      "return [i for i in range(2, {v} + 1) if all(i % k for k in range(2, i))]"], 40),
]
ON_PAIRS = [
    ("add_two", "Return {a} plus {b}.", ["return {a} + {b}", "return sum([{a}, {b}])"]),
    ("gcd_of", "Return the greatest common divisor of {a} and {b}.",
     ["while {b}:\n    {a}, {b} = {b}, {a} % {b}\nreturn {a}", "import math\nreturn math.gcd({a}, {b})"]),
    ("lcm_of", "Return the least common multiple of {a} and {b}.",
     ["p, q = {a}, {b}\nwhile q:\n    p, q = q, p % q\nreturn {a} * {b} // p", "import math\nreturn math.lcm({a}, {b})"]),
    ("larger_of", "Return the larger of {a} and {b}.", ["return {a} if {a} > {b} else {b}", "return max({a}, {b})"]),
    ("difference_of", "Return the absolute difference of {a} and {b}.",
     ["return abs({a} - {b})", "return max({a}, {b}) - min({a}, {b})"]),
    ("is_multiple", "Check if {a} is a multiple of {b}.", ["return {a} % {b} == 0", "return {a} // {b} * {b} == {a}"]),
    ("rectangle_area", "Return the area of a rectangle with sides {a} and {b}.",
     ["return {a} * {b}", "return sum({a} for _ in range({b}))"]),
    ("rectangle_perimeter", "Return the perimeter of a rectangle with sides {a} and {b}.",
     ["return 2 * ({a} + {b})", "return {a} + {b} + {a} + {b}"]),
    ("average_of", "Return the average of {a} and {b}.", ["return ({a} + {b}) / 2", "return {a} / 2 + {b} / 2"]),
    ("power_of", "Return {a} raised to the power {b}.", ["return {a} ** {b}", "return pow({a}, {b})"]),
]
TESTS = 7  # inputs a function, doctests included


def slug(text):
    return text.replace("-", "_").replace(" ", "_")


def number_list(d):
    return repr([d.randint(-12, 20) for _ in range(d.randint(3, 6))])


def annotated(d, v, kind):
    return f"{v}: {kind}" if d.random() < .4 else v


def on_filtered_list(d):
    """An aggregate of the numbers that pass a filter, mapped or not."""
    (what, cond), (mapped, expr) = d.choice(FILTERS), d.choice(MAPS)
    v, plain = d.choice(LISTS), d.random() < .5
    if plain:
        mapped, expr = "", "n"
    tail = d.choice([f"in the list {v}", f"in {v}", "of the given list"])
    several = f"{mapped} the {what} numbers".strip()
    name = (slug(mapped.replace("the ", "").replace(" of", "")) + "_" if mapped else "") + slug(what)
    found = f"[{expr} for n in {v} if {cond}]"
    kinds = [
        (f"sum_of_{name}", f"Return the sum of {several} {tail}.",
         [f"return sum({expr} for n in {v} if {cond})",
          f"total = 0\nfor n in {v}:\n    if {cond}:\n        total += {expr}\nreturn total"]),
        (f"list_{name}", f"Return a list of {several} {tail}, in order.",
         [f"return {found}", f"result = []\nfor n in {v}:\n    if {cond}:\n        result.append({expr})\nreturn result"]),
        (f"max_of_{name}", f"Return the largest of {several} {tail}, or None if there is none.",
         [f"found = {found}\nreturn max(found) if found else None",
          f"best = None\nfor n in {v}:\n    if {cond} and (best is None or {expr} > best):\n        best = {expr}\nreturn best"]),
    ]
    if plain:
        kinds += [
            (f"count_{name}", f"Count how many numbers {tail} are {what}.",
             [f"return sum(1 for n in {v} if {cond})",
              f"count = 0\nfor n in {v}:\n    if {cond}:\n        count += 1\nreturn count"]),
            (f"all_{name}", f"Check whether all numbers {tail} are {what}.",
             [f"return all({cond} for n in {v})", f"return len({found}) == len({v})"]),
            (f"any_{name}", f"Check whether any number {tail} is {what}.",
             [f"return any({cond} for n in {v})", f"return len({found}) > 0"]),
            (f"first_{name}", f"Return the first {what} number {tail}, or None.",
             [f"for n in {v}:\n    if {cond}:\n        return n\nreturn None", f"return ({found} + [None])[0]"]),
            (f"remove_{name}", f"Remove all {what} numbers from the list {v}.",
             [f"return [n for n in {v} if not ({cond})]", f"gone = {found}\nreturn [n for n in {v} if n not in gone]"]),
            (f"index_of_first_{name}", f"Return the index of the first {what} number {tail}, or -1 if there is none.",
             [f"for i, n in enumerate({v}):\n    if {cond}:\n        return i\nreturn -1",
              f"return next((i for i, n in enumerate({v}) if {cond}), -1)"]),
        ]
    name, doc, bodies = d.choice(kinds)
    return Function(name, annotated(d, v, "list"), doc, bodies, [number_list(d) for _ in range(TESTS - 1)] + ["[]"])


def on_list(d):
    name, doc, bodies = d.choice(ON_LISTS)
    v = d.choice(LISTS)
    return Function(name, annotated(d, v, "list"), doc.format(v=v), [b.format(v=v) for b in bodies],
                    [number_list(d) for _ in range(TESTS)])


def on_string(d):
    name, doc, bodies = d.choice(ON_STRINGS)
    v = d.choice(STRINGS)
    return Function(name.format(s=d.choice([v, "string", "text"])), annotated(d, v, "str"), doc.format(v=v),
                    [b.format(v=v) for b in bodies], [repr(w) for w in d.sample(WORDS, TESTS)])


def on_int(d):
    name, doc, bodies, top = d.choice(ON_INTS)
    v = d.choice(INTS)
    return Function(name, annotated(d, v, "int"), doc.format(v=v), [b.format(v=v) for b in bodies],
                    [str(n) for n in d.sample(range(1, top + 1), TESTS)])


def on_pair(d):
    name, doc, bodies = d.choice(ON_PAIRS)
    a, b = d.choice(PAIRS)
    args = f"{a}: int, {b}: int" if d.random() < .4 else f"{a}, {b}"
    inputs = [f"{d.randint(1, 30)}, {d.randint(1, 12)}" for _ in range(TESTS - 1)] + ["12, 4"]
    return Function(name, args, doc.format(a=a, b=b), [x.format(a=a, b=b) for x in bodies], inputs)


def functions(seed):
    d = random.Random(seed)
    while True:
        yield d.choices([on_filtered_list, on_list, on_string, on_int, on_pair], [8, 3, 4, 3, 2])[0](d)
