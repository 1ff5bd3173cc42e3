"""Word problems of one to four steps from 24 templates, each with its worked solution. CC0-1.0, our own work.

The training text of the embedded model was made from the same templates with other seeds (data/README.md says what that
means for a measurement). A template takes a Draw and returns (question, steps, answer).
"""
import random

WOMEN = ("Anna Maria Sophie Lily Emma Nora Julia Hannah Olivia Zoe Mia Clara Rosa Amy Grace Ella Priya Mei Fatima Aisha "
         "Elena Ruth Diane Kate Sara").split()
MEN = ("Tom Ben Jack Omar Liam Noah Sam Peter Carlos Raj Ken Paul Leo Max David Henry Victor Ivan Mark Felix Adam Oscar "
       "Hugo Dan Eric").split()
ITEMS = ["apples", "oranges", "marbles", "stickers", "books", "pencils", "cookies", "stamps", "seashells", "cards",
         "balloons", "candies", "coins", "toy cars", "muffins", "flowers", "eggs", "peaches", "buttons", "erasers",
         "crayons", "beads", "cupcakes", "postcards", "magnets"]
GOODS = [("notebook", "notebooks", 2, 6), ("pen", "pens", 1, 4), ("shirt", "shirts", 8, 25), ("book", "books", 5, 20),
         ("sandwich", "sandwiches", 3, 9), ("ticket", "tickets", 6, 15), ("toy", "toys", 4, 18),
         ("bag of rice", "bags of rice", 3, 12), ("box of cereal", "boxes of cereal", 2, 7), ("hat", "hats", 6, 18),
         ("mug", "mugs", 4, 12), ("candle", "candles", 3, 9), ("pizza", "pizzas", 8, 16), ("cake", "cakes", 10, 24),
         ("chair", "chairs", 15, 60), ("lamp", "lamps", 12, 45)]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "March", "April", "May", "June", "July", "August", "October"]
TIMES = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}
SHARE = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}
TOTAL = ("together", "in total", "altogether")


class Person:
    def __init__(self, name, he, his):
        self.name, self.he, self.his, self.He = name, he, his, he.capitalize()


class Draw(random.Random):
    def pick(self, *options):
        return self.choice(options)

    def person(self, *others):
        while True:
            p = (Person(self.choice(WOMEN), "she", "her") if self.random() < .5 else
                 Person(self.choice(MEN), "he", "his"))
            if p.name not in [o.name for o in others]:
                return p


def two_months(d):
    p, k, it = d.person(), d.pick(2, 3, 4), d.choice(ITEMS)
    b, m = d.randint(3, 30) * k, d.sample(MONTHS, 2)
    did, do = d.pick(("sold", "sell"), ("collected", "collect"), ("made", "make"))
    x = b // k
    return (f"{p.name} {did} {b} {it} in {m[0]}, and then {p.he} {did} {SHARE[k]} as many {it} in {m[1]}. How many {it} "
            f"{d.pick('altogether', 'in total')} did {p.name} {do} in {m[0]} and {m[1]}?",
            [f"In {m[1]}, {p.name} {did} {b}/{k} = {x} {it}.",
             f"{d.pick('Altogether', 'In total')}, {p.name} {did} {b} + {x} = {b + x} {it}."], b + x)


def more_or_fewer(d):
    a = d.person()
    b, it, x, n = d.person(a), d.choice(ITEMS), d.randint(4, 60), d.randint(2, 30)
    if d.pick(0, 1):
        sign, word, y = "+", "more", x + n
    else:
        x += n + 2
        sign, word, y = "-", "fewer", x - n
    return (f"{a.name} has {x} {it}. {b.name} has {n} {word} {it} than {a.name}. How many {it} do they have "
            f"{d.pick(*TOTAL)}?",
            [f"{b.name} has {x} {sign} {n} = {y} {it}.", f"Together they have {x} + {y} = {x + y} {it}."], x + y)


def times_as_many(d):
    a = d.person()
    b, it, x, k = d.person(a), d.choice(ITEMS), d.randint(3, 30), d.randint(2, 5)
    gone, y = d.randint(1, x - 1), x * k
    q = f"{a.name} has {x} {it}. {b.name} has {TIMES[k]} as many {it} as {a.name}. "
    if d.pick(0, 1):
        return (q + f"How many {it} do they have altogether?",
                [f"{b.name} has {x} * {k} = {y} {it}.", f"Altogether they have {x} + {y} = {x + y} {it}."], x + y)
    return (q + f"If {b.name} gives away {gone} {it}, how many {it} does {b.name} have left?",
            [f"{b.name} starts with {x} * {k} = {y} {it}.",
             f"After giving away {gone}, {b.name} has {y} - {gone} = {y - gone} {it} left."], y - gone)


def change(d):
    p, good, k = d.person(), d.choice(GOODS), d.randint(2, 6)
    c = d.randint(*good[2:])
    cost = c * k
    bill = next(x for x in (20, 50, 100, 200, 500) if x > cost)
    return (f"{p.name} buys {k} {good[1]} that cost ${c} each. {p.He} pays with ${bill}. How much change does {p.he} "
            f"{d.pick('get', 'receive')}?",
            [f"The {good[1]} cost {k} * ${c} = ${cost}.", f"{p.name} gets ${bill} - ${cost} = ${bill - cost} in change."],
            bill - cost)


def two_goods(d):
    p, (g, h) = d.person(), d.sample(GOODS, 2)
    c, e, k, n = d.randint(*g[2:]), d.randint(*h[2:]), d.randint(2, 6), d.randint(2, 6)
    total = k * c + n * e
    return (f"{p.name} {d.pick('goes to the store and buys', 'buys', 'orders')} {k} {g[1]} for ${c} each and {n} {h[1]} for "
            f"${e} each. How much does {p.he} spend {d.pick('in total', 'altogether', 'in all')}?",
            [f"The {g[1]} cost {k} * ${c} = ${k * c}.", f"The {h[1]} cost {n} * ${e} = ${n * e}.",
             f"In total, {p.name} spends ${k * c} + ${n * e} = ${total}."], total)


def wage(d):
    p, w, h, days = d.person(), d.randint(8, 30), d.randint(3, 9), d.randint(2, 6)
    hours, earned = h * days, w * h * days
    spent, weeks = d.randint(10, earned // 2), d.randint(2, 5)
    q = f"{p.name} earns ${w} an hour. {p.He} works {h} hours a day for {days} days"
    if d.pick(0, 1):
        return (q + f" a week. How much does {p.he} earn in {weeks} weeks?",
                [f"{p.name} works {h} * {days} = {hours} hours a week.", f"{p.He} earns {hours} * ${w} = ${earned} a week.",
                 f"In {weeks} weeks, {p.he} earns ${earned} * {weeks} = ${earned * weeks}."], earned * weeks)
    return (q + f". If {p.he} spends ${spent} of {p.his} earnings, how much money does {p.he} have left?",
            [f"{p.name} works {h} * {days} = {hours} hours.", f"{p.He} earns {hours} * ${w} = ${earned}.",
             f"{p.He} has ${earned} - ${spent} = ${earned - spent} left."], earned - spent)


def share(d):
    p, it, k, x = d.person(), d.choice(ITEMS), d.randint(2, 8), d.randint(3, 15)
    if d.pick(0, 1):
        kept = d.randint(1, k * x - 1)
        total = k * x + kept
        return (f"{p.name} has {total} {it}. {p.He} {d.pick('keeps', 'puts aside', 'loses')} {kept} of them and shares the "
                f"rest equally among {k} friends. How many {it} does each friend get?",
                [f"There are {total} - {kept} = {k * x} {it} to share.", f"Each friend gets {k * x} / {k} = {x} {it}."], x)
    y = d.randint(2, 12)
    return (f"{p.name} has {k * x} {it} and divides them equally into {k} bags. {p.He} then adds {y} more {it} to each bag. "
            f"How many {it} are in each bag?",
            [f"Each bag starts with {k * x} / {k} = {x} {it}.",
             f"After adding {y} more, each bag has {x} + {y} = {x + y} {it}."], x + y)


def discount(d):
    p, good, percent = d.person(), d.choice(GOODS), d.pick(10, 20, 25, 50)
    base, k = d.pick(20, 40, 60, 80, 100, 120, 200), d.randint(1, 4)
    off = base * percent // 100
    if k == 1:
        return (f"A {good[0]} costs ${base}, but {p.name} gets a {percent}% discount. How much does {p.name} pay for the "
                f"{good[0]}?", [f"The discount is ${base} * {percent}/100 = ${off}.",
                                f"{p.name} pays ${base} - ${off} = ${base - off}."], base - off)
    return (f"A {good[0]} normally costs ${base}. During a sale, the price is reduced by {percent}%. How much does {p.name} "
            f"pay for {k} {good[1]}?",
            [f"The discount on one {good[0]} is ${base} * {percent}/100 = ${off}.",
             f"The sale price is ${base} - ${off} = ${base - off}.",
             f"For {k} {good[1]}, {p.name} pays {k} * ${base - off} = ${k * (base - off)}."], k * (base - off))


def two_speeds(d):
    p, v, h, w, g = d.person(), d.randint(4, 15) * 5, d.randint(2, 6), d.randint(4, 15) * 5, d.randint(1, 5)
    total = v * h + w * g
    return (f"{p.name} {d.pick('drives', 'rides a train', 'takes a bus')} at {v} miles per hour for {h} hours and then at {w} "
            f"miles per hour for {g} hours. How many miles does {p.he} travel {d.pick('in total', 'altogether')}?",
            [f"In the first part, {p.name} travels {v} * {h} = {v * h} miles.",
             f"In the second part, {p.he} travels {w} * {g} = {w * g} miles.",
             f"In total, {p.he} travels {v * h} + {w * g} = {total} miles."], total)


def every_day(d):
    p, x, weeks = d.person(), d.randint(2, 12), d.randint(2, 5)
    does, do, what = d.pick(("reads", "read", "pages"), ("bakes", "bake", "cookies"), ("writes", "write", "letters"),
                            ("runs", "run", "miles"), ("solves", "solve", "puzzles"),
                            ("drinks", "drink", "glasses of water"))
    return (f"{p.name} {does} {x} {what} every day. How many {what} does {p.he} {do} in {weeks} weeks?",
            [f"There are 7 * {weeks} = {7 * weeks} days in {weeks} weeks.",
             f"So {p.name} {does} {x} * {7 * weeks} = {x * 7 * weeks} {what} in {weeks} weeks."], x * 7 * weeks)


def pages_left(d):
    p, total = d.person(), d.randint(10, 40) * 10
    a, b, day = d.randint(10, total // 3), d.randint(10, total // 3), d.sample(DAYS, 2)
    return (f"{p.name} is reading a book with {total} pages. {p.He} read {a} pages on {day[0]} and {b} pages on {day[1]}. How "
            f"many pages does {p.he} still have to read?",
            [f"{p.name} has read {a} + {b} = {a + b} pages.",
             f"{p.He} still has to read {total} - {a + b} = {total - a - b} pages."], total - a - b)


def boxes(d):
    p, it, b, per = d.person(), d.choice(ITEMS), d.randint(2, 9), d.randint(4, 24)
    used, total = d.randint(1, b * per - 1), b * per
    return (f"{p.name} {d.pick('buys', 'has', 'orders')} {b} boxes of {it} with {per} {it} in each box. {p.He} "
            f"{d.pick('gives away', 'uses', 'sells')} {used} of them. How many {it} are left?",
            [f"There are {b} * {per} = {total} {it} in total.",
             f"After that, {total} - {used} = {total - used} {it} are left."], total - used)


def ages(d):
    a = d.person()
    b, x, k, y = d.person(a), d.randint(5, 20), d.randint(2, 4), d.randint(2, 12)
    return (f"{a.name} is {x} years old. {b.name} is {TIMES[k]} as old as {a.name}. How old will {b.name} be in {y} years?",
            [f"{b.name} is {x} * {k} = {x * k} years old now.",
             f"In {y} years, {b.name} will be {x * k} + {y} = {x * k + y} years old."], x * k + y)


def saving(d):
    p, s, weeks, have = d.person(), d.randint(3, 25), d.randint(3, 12), d.randint(5, 40)
    cost, good = have + s * weeks, d.pick("bike", "guitar", "tablet", "skateboard", "camera", "game console", "telescope")
    return (f"{p.name} wants to buy a {good} that costs ${cost}. {p.He} already has ${have} and saves ${s} every week. How many "
            f"weeks does {p.he} need to save to buy the {good}?",
            [f"{p.name} still needs ${cost} - ${have} = ${s * weeks}.", f"It will take {s * weeks} / {s} = {weeks} weeks."],
            weeks)


def profit(d):
    p, k, c = d.person(), d.randint(5, 40), d.randint(1, 6)
    it = d.pick("cups of lemonade", "bracelets", "cupcakes", "paintings", "candles", "bars of soap", "scarves")
    gain = d.randint(1, 9)
    s = c + gain
    return (f"It costs {p.name} ${c} to make each of {p.his} {it}. {p.He} sells them for ${s} each. If {p.he} makes and sells "
            f"{k} {it}, what is {p.his} profit?",
            [f"{p.name} earns ${s} - ${c} = ${gain} in profit on each one.",
             f"For {k} {it}, the profit is {k} * ${gain} = ${k * gain}."], k * gain)


def group(d):
    k = d.pick(2, 3, 4, 5)
    girls, each = d.randint(3, 12) * k, d.randint(2, 6)
    boys, place = girls // k, d.pick("class", "club", "choir", "school trip", "summer camp")
    n = girls + boys
    q = f"There are {girls} girls in a {place}. The number of boys is {SHARE[k]} the number of girls. "
    first = f"There are {girls} / {k} = {boys} boys."
    if d.pick(0, 1):
        return (q + f"How many children are in the {place}?",
                [first, f"In total there are {girls} + {boys} = {n} children in the {place}."], n)
    return (q + f"Each child gets {each} stickers. How many stickers are needed?",
            [first, f"In total there are {girls} + {boys} = {n} children.",
             f"They need {n} * {each} = {n * each} stickers."], n * each)


def recipe(d):
    p, c, k = d.person(), d.randint(2, 5), d.randint(2, 8)
    ing, need = d.pick("cups of flour", "eggs", "spoons of sugar"), c * k
    have = d.randint(1, need - 1)
    return (f"A recipe for one batch of {d.pick('cookies', 'muffins', 'pancakes', 'rolls')} needs {c} {ing}. {p.name} wants to "
            f"make {k} batches and already has {have} {ing}. How many more {ing} does {p.he} need?",
            [f"{p.name} needs {c} * {k} = {need} {ing} in total.",
             f"{p.He} needs {need} - {have} = {need - have} more {ing}."], need - have)


def garden(d):
    n, w, c = d.randint(4, 30), d.randint(3, 20), d.randint(2, 9)
    place = d.pick("garden", "field", "yard", "park", "playground")
    q = f"A rectangular {place} is {n} meters long and {w} meters wide. "
    if d.pick(0, 1):
        around = 2 * (n + w)
        return (q + f"A fence costs ${c} per meter. How much does it cost to put a fence around the {place}?",
                [f"The length and the width add up to {n} + {w} = {n + w} meters.",
                 f"The perimeter is 2 * {n + w} = {around} meters.",
                 f"The fence costs {around} * ${c} = ${around * c}."], around * c)
    return (q + f"It costs ${c} to plant grass on each square meter. How much does it cost to plant grass on the whole {place}?",
            [f"The area is {n} * {w} = {n * w} square meters.",
             f"It costs {n * w} * ${c} = ${n * w * c} to plant grass on the whole {place}."], n * w * c)


def chain(d):
    p, it, x = d.person(), d.choice(ITEMS), d.randint(15, 80)
    q, steps, now = f"{p.name} starts with {x} {it}.", [], x
    for _ in range(d.randint(2, 4)):
        op = d.pick("+", "-", "*", "/")
        if (op == "*" and now > 120) or (op == "/" and (now % 2 or now < 6)):
            op = "-"
        if op == "+":
            n = d.randint(2, 40)
            q += f" {p.He} {d.pick('gets', 'buys', 'finds', 'is given')} {n} more."
            steps.append(f"After that {p.he} has {now} + {n} = {now + n} {it}.")
            now += n
        elif op == "-":
            n = d.randint(1, max(1, now // 2))
            q += f" {p.He} {d.pick('gives a friend', 'sells', 'loses', 'throws away')} {n}{d.pick('', ' of them')}."
            steps.append(f"After that {p.he} has {now} - {n} = {now - n} {it}.")
            now -= n
        elif op == "*":
            k = d.randint(2, 3)
            q += f" Then {p.his} collection becomes {TIMES[k]} as big."
            steps.append(f"Then {p.he} has {now} * {k} = {now * k} {it}.")
            now *= k
        else:
            q += f" Then {p.he} gives half of them to {p.his} {d.pick('sister', 'brother', 'cousin', 'teacher', 'best friend')}."
            steps.append(f"Half of {now} is {now} / 2 = {now // 2}, so {p.he} has {now // 2} {it} left.")
            now //= 2
    return q + f" How many {it} does {p.name} have {d.pick('now', 'in the end')}?", steps, now


def average(d):
    p, k, mean = d.person(), d.randint(3, 4), d.randint(60, 95)
    while True:
        scores = [d.randint(mean - 8, min(100, mean + 8)) for _ in range(k - 1)]
        scores.append(mean * k - sum(scores))
        if 40 <= scores[-1] <= 100:
            break
    listed = ", ".join(map(str, scores[:-1])) + f" and {scores[-1]}"
    return (f"{p.name} took {k} {d.pick('math', 'science', 'spelling', 'history')} tests and scored {listed}. What is {p.his} "
            f"average score?",
            [f"The scores add up to {' + '.join(map(str, scores))} = {sum(scores)}.",
             f"The average score is {sum(scores)} / {k} = {mean}."], mean)


def seats(d):
    rows, per = d.randint(3, 20), d.randint(4, 25)
    empty, place = d.randint(1, min(20, rows * per - 1)), d.pick("theater", "cinema", "hall", "stadium section")
    return (f"A {place} has {rows} rows with {per} seats in each row. If {empty} seats are empty, how many people are sitting "
            f"in the {place}?",
            [f"There are {rows} * {per} = {rows * per} seats.",
             f"So {rows * per} - {empty} = {rows * per - empty} people are sitting in the {place}."], rows * per - empty)


def percent(d):
    while True:
        total, pc = d.pick(20, 40, 50, 60, 80, 100, 120, 150, 200, 300, 400, 500), d.pick(10, 20, 25, 30, 40, 50, 60, 75)
        if total * pc % 100 == 0:
            break
    part = total * pc // 100
    who = d.pick("students in a school", "people at a concert", "animals on a farm", "workers in a factory",
                 "trees in an orchard")
    kind = who.split()[0]
    return (f"There are {total} {who}. {pc}% of them {d.pick('are new this year', 'need help', 'are counted today')}. How many "
            f"{kind} are in the remaining group?",
            [f"{pc}% of {total} is {total} * {pc}/100 = {part} {kind}.",
             f"The remaining group has {total} - {part} = {total - part} {kind}."], total - part)


def three_people(d):
    a = d.person()
    b = d.person(a)
    c, it = d.person(a, b), d.choice(ITEMS)
    x, k, n = d.randint(3, 25), d.randint(2, 4), d.randint(2, 15)
    y, z = x * k, x * k + n
    return (f"{a.name} has {x} {it}. {b.name} has {TIMES[k]} as many as {a.name}, and {c.name} has {n} more than {b.name}. How "
            f"many {it} do the three of them have in total?",
            [f"{b.name} has {x} * {k} = {y} {it}.", f"{c.name} has {y} + {n} = {z} {it}.",
             f"In total they have {x} + {y} + {z} = {x + y + z} {it}."], x + y + z)


def minutes(d):
    p, each, k = d.person(), d.randint(2, 12) * 5, d.randint(2, 9)
    do, one, many = d.pick(("wash", "car", "cars"), ("paint", "fence", "fences"), ("grade", "test", "tests"),
                           ("wrap", "present", "presents"), ("clean", "room", "rooms"), ("bake", "cake", "cakes"))
    total, rest = each * k, d.randint(1, 6) * 5
    q = f"It takes {p.name} {each} minutes to {do} one {one}. "
    first = f"It takes {p.name} {each} * {k} = {total} minutes to {do} {k} {many}."
    if total % 60 == 0:
        return (q + f"How many hours does it take {p.name} to {do} {k} {many}?",
                [first, f"That is {total} / 60 = {total // 60} hours."], total // 60)
    return (q + f"{p.He} also takes a break of {rest} minutes. How many minutes does {p.he} need to {do} {k} {many}, including "
            f"the break?", [first, f"With the break, it takes {total} + {rest} = {total + rest} minutes."], total + rest)


TEMPLATES = [two_months, more_or_fewer, times_as_many, change, two_goods, wage, share, discount, two_speeds, every_day,
             pages_left, boxes, ages, saving, profit, group, recipe, garden, chain, average, seats, percent, three_people,
             minutes]
