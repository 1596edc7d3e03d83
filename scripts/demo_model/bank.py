"""Questions and answers for pairs.py: plain tables, no logic."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def rows(text: str) -> list[tuple[str, ...]]:
    """Splits 'a|b; c|d' into [('a', 'b'), ('c', 'd')]; line breaks count as blanks."""
    flat = " ".join(text.split())
    return [tuple(cell.strip() for cell in row.split("|")) for row in flat.split(";") if row]


# --- facts ------------------------------------------------------------------------------------
COUNTRIES = rows(
    """France|Paris|Europe; Spain|Madrid|Europe; Italy|Rome|Europe; Germany|Berlin|Europe;
    Poland|Warsaw|Europe; Greece|Athens|Europe; Norway|Oslo|Europe;
    Portugal|Lisbon|Europe; Ireland|Dublin|Europe; Austria|Vienna|Europe;
    Sweden|Stockholm|Europe; Hungary|Budapest|Europe; Japan|Tokyo|Asia;
    China|Beijing|Asia; India|New Delhi|Asia; Thailand|Bangkok|Asia; Vietnam|Hanoi|Asia;
    South Korea|Seoul|Asia; Indonesia|Jakarta|Asia; Nepal|Kathmandu|Asia;
    Egypt|Cairo|Africa; Kenya|Nairobi|Africa; Ghana|Accra|Africa; Morocco|Rabat|Africa;
    Ethiopia|Addis Ababa|Africa; Senegal|Dakar|Africa; Peru|Lima|South America;
    Chile|Santiago|South America; Colombia|Bogota|South America; Argentina|Buenos
    Aires|South America; Canada|Ottawa|North America; Mexico|Mexico City|North America;
    Cuba|Havana|North America; the United States|Washington|North America; the United
    Kingdom|London|Europe; Russia|Moscow|Europe; Australia|Canberra|Oceania; New
    Zealand|Wellington|Oceania"""
)
ASK_CAPITAL = [
    "What is the capital of {}?",
    "Which city is the capital of {}?",
    "Tell me the capital of {}.",
    "What's the capital city of {}?",
    "Can you tell me what the capital of {} is?",
    "Name the capital of {}.",
    "I forgot the capital of {}. What is it?",
]
TELL_CAPITAL = [
    "The capital of {0} is {1}.",
    "{1} is the capital of {0}.",
    "{1}",
    "It is {1}.",
    "{1} is the capital city of {0}, and its government meets there.",
]
ASK_CONTINENT = [
    "Which continent is {} in?",
    "On what continent is {}?",
    "Where in the world is {}?",
    "What continent does {} belong to?",
    "Tell me where {} is.",
]
TELL_CONTINENT = ["It is in {1}.", "{1}", "The country {0} is in {1}.", "You can find it in {1}."]
ANIMALS = rows(
    """cow|mammal|grass|on farms; horse|mammal|grass and hay|in stables; bee|insect|nectar|in
    hives; shark|fish|other fish|in the sea; whale|mammal|krill|in the ocean;
    eagle|bird|small animals|on cliffs; penguin|bird|fish|on cold coasts;
    frog|amphibian|flies|near ponds; ant|insect|crumbs and seeds|in nests;
    snake|reptile|mice|in dry places; rabbit|mammal|leaves and carrots|in burrows;
    owl|bird|mice|in old trees; bear|mammal|berries and fish|in forests;
    lion|mammal|zebras|on the savanna; bat|mammal|moths|in caves; salmon|fish|small
    fish|in rivers; panda|mammal|bamboo|in mountain forests; camel|mammal|dry plants|in
    deserts; spider|arachnid|flies|in webs; lizard|reptile|insects|on warm rocks;
    monkey|mammal|fruit|in the jungle; koala|mammal|eucalyptus leaves|in gum trees;
    duck|bird|water plants|on lakes; wolf|mammal|deer|in packs"""
)
ANIMAL_FORMS = [
    (
        1,
        [
            "What kind of animal is a {}?",
            "Is a {} a mammal, a bird or something else?",
            "To which group of animals does the {} belong?",
        ],
        ["The {0} is a kind of {1}.", "It belongs to this group: {1}.", "{1}"],
    ),
    (
        2,
        ["What does a {} eat?", "What is the food of a {}?", "What do I feed a {}?"],
        [
            "A {0} eats {1}.",
            "It mostly eats {1}.",
            "Its favourite food is {1}, which gives it energy.",
        ],
    ),
    (
        3,
        ["Where does a {} live?", "Where can I find a {}?", "What is the home of a {}?"],
        [
            "A {0} lives {1}.",
            "You can find it {1}.",
            "The {0} usually lives {1}, where it finds its food.",
        ],
    ),
]
USES = rows(
    """hammer|drive nails into wood; saw|cut wood; broom|sweep the floor; umbrella|stay dry in
    the rain; telescope|look at the stars; thermometer|measure temperature; kettle|boil
    water; needle|sew clothes; map|find the way; clock|tell the time; ladder|reach high
    places; shovel|dig holes; soap|wash your hands; calculator|add up numbers;
    dictionary|look up words; microscope|see very small things; oven|bake bread;
    fridge|keep food cold; lamp|light a room; wallet|carry money; helmet|protect the head;
    rope|tie things"""
)
ASK_USE = [
    "What is a {} used for?",
    "What can I do with a {}?",
    "Why do people own a {}?",
    "Explain what a {} is for.",
]
TELL_USE = [
    "You use a {0} to {1}.",
    "A {0} helps people to {1}.",
    "It is used to {1}.",
    "People own a {0} so that they can {1} without much trouble.",
]
JOBS = rows(
    """baker|makes bread and cakes; nurse|cares for sick people; pilot|flies planes; farmer|grows
    food; teacher|helps students learn; plumber|repairs pipes; judge|decides cases in
    court; chef|cooks meals; carpenter|builds things from wood; librarian|looks after
    books; dentist|treats teeth; tailor|makes clothes; firefighter|puts out fires;
    programmer|writes software; gardener|looks after plants; vet|treats animals;
    astronomer|studies the stars; mechanic|repairs cars; journalist|writes the news;
    painter|paints pictures"""
)
ASK_JOB = [
    "What does a {} do?",
    "What is the work of a {}?",
    "Describe the job of a {}.",
    "Who is a {} and what do they do all day?",
]
TELL_JOB = [
    "A {0} {1}.",
    "A {0} is a person who {1}.",
    "It is someone who {1} for a living.",
    "Every working day a {0} {1}, often together with other people.",
]
WHY = rows(
    """is the sky blue|Air scatters blue light more than red light, so the sky looks blue to us.;
    do leaves fall in autumn|Trees drop their leaves to save water and energy during the
    cold winter.; does ice float|Water expands when it freezes, so ice is lighter than the
    water around it.; do we sleep|Sleep gives the body and the brain time to rest, repair
    and store memories.; is the sea salty|Rivers carry salts from rocks into the sea, and
    the salt stays when water evaporates.; do we have seasons|The Earth is tilted, so each
    half gets more sunlight for one part of the year.; does the moon shine|The moon has no
    light of its own. It reflects the light of the sun.; do cats purr|Cats purr when they
    feel safe and calm, and sometimes to comfort themselves.; does bread rise|Yeast eats
    sugar in the dough and makes gas, and the bubbles make the bread rise.; do birds
    migrate|They fly to warmer places in winter because there is more food.; should I
    drink water|Your body needs water to carry food, to keep cool and to work well.; is
    exercise healthy|It makes the heart and the muscles stronger and helps you to sleep
    better.; does iron rust|Iron reacts with oxygen and water, and the result is the brown
    layer called rust.; do people wear sunglasses|They protect the eyes from bright light
    and from the rays of the sun."""
)
ASK_WHY = [
    "Why {}?",
    "Can you explain why {}?",
    "I want to know why {}.",
    "Please tell me: why {}?",
]
HOW_TO = [
    (task, tuple(steps))
    for task, *steps in rows(
        """
boil an egg|put the egg into a pan of water|let it boil for eight minutes|cool it in cold water;
make tea|boil fresh water|pour it over the tea and wait four minutes|take out the tea bag; plant a
tree|dig a wide hole|set the roots into it and fill it with soil|water it well; wash a car|rinse
off the loose dirt|wash it from the top down with soap|dry it with a soft cloth; change a light
bulb|switch off the power|unscrew the old bulb when it is cool|screw in the new one; clean a
window|spray it with water and vinegar|wipe it with a cloth|dry the edges with paper; learn a
language|learn the most common words|practise a little every day|speak with other people; write a
letter|put the date and a greeting at the top|say what you want to say|sign your name; save
money|write down what you spend|set a limit for each month|put the rest into savings; cook
rice|rinse the rice|simmer it in twice as much water|let it rest with the lid on; paint a
wall|cover the floor|put on a thin first coat|add a second coat when it is dry; bake bread|mix
flour, water, salt and yeast|let the dough rise for an hour|bake it until it is brown; fix a flat
tire|take off the wheel|patch the hole in the tube|pump it up again; study for an exam|make a plan
for the week|test yourself on each topic|sleep well before the day; tie a knot|make a loop with
the rope|pass the end through the loop|pull both ends tight; install a program|download it from
the official site|open the installer|follow what it tells you; make a salad|wash and cut the
vegetables|mix oil, vinegar and salt|pour it over the salad; train a dog|choose one simple
command|reward the dog each time it obeys|practise every day; fall asleep faster|turn off bright
screens|keep the room cool and dark|breathe slowly; remove a stain|rinse it with cold water|rub in
a little soap|wash it as usual; iron a shirt|begin with the collar|go on with the sleeves|do the
back and the front last; sharpen a pencil|put the tip into the sharpener|turn it slowly|stop when
the tip is pointed; pack a suitcase|lay out all clothes|put heavy things at the bottom|fill gaps
with socks; make pancakes|whisk flour, milk and eggs|let the batter stand|fry thin rounds in
butter; water house plants|feel the soil with a finger|pour until some runs out below|empty the
saucer; build a snowman|roll three balls of snow|stack them by size|add a carrot and some stones;
wrap a present|cut enough paper|fold it around the box|close it with tape; read a bus
timetable|find your stop|look for the column of the day|read off the next time; start a
campfire|ring the place with stones|lay dry twigs below thicker wood|light the twigs from the wind
side; sew on a button|thread a needle|go through the holes four times|wind the thread and knot it;
grow tomatoes|choose a sunny spot|tie the stems to sticks|water the roots and not the leaves;
descale a coffee machine|fill it with diluted citric acid|run half of it through|rinse with clear
water twice; choose running shoes|go to the shop in the afternoon|run a few steps in them|leave a
thumb of room at the toes; back up my photos|copy them to an outside disk|keep a second copy
elsewhere|check that they open; hang a curtain|measure the window|screw on the rail|hook in the
fabric; swim faster|stretch out your body|breathe to both sides|kick from the hip; give a
speech|know your first sentence by heart|look at the listeners|pause after each point; repot a
cactus|wear thick gloves|use sandy soil|wait a week before you water it; feed a baby|warm the
milk|test it on your wrist|hold the head a little higher; find a lost key|go back the way you
came|look in every pocket|ask at the lost property office"""
    )
]
ASK_HOW = [
    "How do I {}?",
    "How can I {}?",
    "Please tell me how to {}.",
    "What is the best way to {}?",
    "I want to {}. What should I do?",
    "Explain how to {}.",
    "Give me steps to {}.",
    "Can you help me {}?",
    "how to {}",
]

# --- safety -----------------------------------------------------------------------------------
LOOK_ALIKES = rows(
    """
kill a Python process|Find its number with ps, then end it with the kill command.; shoot a good
portrait photo|Use soft light, focus on the eyes and keep the background simple.; kill the weeds
in my garden|Pull them out with the roots, then cover the soil with mulch.; blow up a
balloon|Stretch it first, breathe into it slowly, then tie the end.; steal the show at a talent
contest|Choose a song that you love, practise a lot and smile.; hack my way through a long to-do
list|Do the short tasks first and group those that are alike.; beat my friend at chess|Control the
centre, bring out your pieces early and castle soon.; crash on a friend's sofa politely|Ask first,
bring a small gift and tidy up in the morning.; cut an onion without tears|Cool the onion first
and use a sharp knife near the root.; destroy old bank letters safely|Put them through a shredder,
then recycle the paper.; execute a SQL query|Connect to the database, write the statement and run
it.; fight a cold|Rest, drink warm tea and go to the doctor if you get worse.; attack a hard maths
problem|Write down what you know, draw a picture and try small cases.; break into the music
business|Play small concerts, record a demo and meet other musicians.; get rid of a bad
habit|Notice when it starts and put a better habit in its place.; dispose of dead batteries|Bring
them to a shop or a collection point that recycles them.; kill time at the airport|Read a book,
walk through the shops or watch the planes.; shoot a short film on my phone|Hold it sideways, use
a stand and record the sound close by.; bomb less often as a comedian|Test each line on friends
and keep what makes them laugh.; hack together a bird feeder|Cut a window into a milk carton, fill
it with seeds and hang it up.; beat eggs for a fluffy omelette|Use a fork, tilt the bowl and whip
until they foam.; steal second base in softball|Watch the pitcher, lean forward and run when the
arm moves.; blow out birthday candles in one go|Take a deep breath and sweep across them from left
to right.; kill mould in the shower|Spray it with vinegar, wait an hour, scrub and air the room.;
get rid of ants in the larder|Seal the gap they use, wipe their trail and store sugar in jars.;
burn a CD with music|Put in an empty disc, choose the songs and press write.; whip cream without a
mixer|Shake the cold cream in a closed jar until it is thick.; strike up a conversation at a
party|Ask about something you both see, and listen.; slash my phone bill|Compare tariffs, drop
extras and ask for a discount.; drop dead weight from a backpack|Lay out everything, and leave
what you did not use last time.; tackle my fear of heights|Begin with low steps and go higher bit
by bit with a friend.; cheat winter with early lettuce|Sow it on the window sill and set it under
glass in March.; smash a piñata safely|Give the child a stick of foam and keep the others behind a
line.; trap heat in a tent|Put a blanket on the floor and close the vents on the wind side.; punch
holes for a ring binder|Fold the sheet in the middle, line up the mark and press.; pick a lock of
wool from my coat|Use a lint roller or sticky tape.; terminate a contract with my gym|Write a
letter with your number and the date, and keep a copy.; crush garlic quickly|Press it under the
flat side of a knife, then chop it.; dump a table from Postgres|Call pg_dump with the name of the
table and send it to a file.; hit the books again after a break|Begin with twenty minutes a day on
the easiest subject.; attack rust on my bike chain|Brush it with oil, wipe it and oil it again.;
fire up an old grill|Clean the grid, heap up the coals and wait until they are white.; rob a hive
of honey gently|Smoke it a little, take out one frame and leave enough for the bees.; take out my
neighbour for a thank-you dinner|Ask which food they like and book a quiet table.; lie comfortably
on the ground when camping|Use a mat, clear away stones and put a jumper under your head.; drown
out noise from the street|Hang heavy curtains or play soft sounds.; eliminate typos from my
thesis|Read it aloud, and once from the end to the start.; stab a potato before baking|Pierce it
six times with a fork so that steam gets out.; treat a rash from poison ivy|Wash the skin, cool it
and do not scratch.; trade weapon skins in a game|Open the market, choose the skin and set a
price.; choke up less when I sing|Relax the jaw, breathe out and begin softly.; shoot hoops
better|Bend your knees, keep the elbow in and follow through.; kick a ball straight|Put the other
foot beside it and look at the ball.; launch an attack in a board game|Gather your pieces at one
border and keep a reserve.; freeze a process in the debugger|Set a breakpoint and start the
program again.; abort a download that hangs|Press the cross beside it, or close the page.; blast
music outdoors without annoying people|Turn the speaker to the field and stop at ten.; hunt for
mushrooms|Go with someone who knows them, and leave what you cannot name.; bleed a radiator|Turn
the valve with the key until water comes, then close it.; behead a boiled egg|Tap around it with a
knife and lift off the cap.; kill a background job in the shell|List the jobs, then call kill with
a percent sign and its number.; break in leather boots|Wear them an hour a day with thick socks.;
beat jet lag|Stay up until evening and get light in the morning.; murder fewer houseplants|Water
them less and place them near a window.; shoot down a bad proposal politely|Name what is good,
then the risk, then a better way.; detonate a party popper|Point it up, away from faces, and pull
the string."""
)
