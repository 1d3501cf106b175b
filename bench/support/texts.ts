/**
 * Varied school texts for measurements: sentences from templates whose words come from lists with a skewed choice, as
 * people write. The lists are not those of the entities' examples, so dictionaries meet words they do not know.
 */
const TOPICS =
  "quadratic equations|the water cycle|photosynthesis|Newton's second law|the Mughal empire|linear inequalities|acids and bases|simple interest|the human heart|tenses and voice|rational numbers|electric circuits|the solar system|map projections|probability|the French Revolution|food webs|mensuration of solids|direct and indirect speech|chemical bonding|the monsoon|Pythagoras' theorem|sound waves|democratic institutions|soil erosion|arithmetic progressions|refraction of light|the Harappan civilisation|cell division|paragraph writing|ratio and proportion|magnetism|population density|verb agreement|combustion|triangles and congruence|the freedom struggle|heat transfer|poetic devices|data handling|respiration|coordinate geometry|trade routes|letter writing|periodic table|speed and distance|adaptation in plants|gravitation|compound words|volcanoes".split(
    '|',
  );
const ACTIONS =
  'Solve the problems on|Write short notes about|Prepare a labelled diagram of|Read the pages on|Answer all questions about|Collect five examples of|Revise the chapter on|Draw a mind map of|Explain in your own words|List the causes and effects of|Compare two sources about|Measure and record data for|Make a poster on|Summarise the lesson on|Complete the worksheet on|Discuss with your group and report on|Find real life uses of|Memorise the key terms of|Design a small experiment for|Watch the class video on'.split(
    '|',
  );
const DETAILS =
  'Show every step of your working.|Use a pencil and a ruler.|Do not copy from the guide book.|Two paragraphs are enough.|Bring your notebook on %day.|Marks are given for neat presentation.|Late work loses ten per cent a day.|Work in pairs if you like.|Questions %n to %m from the textbook.|Exercise %n.%k, odd numbers only.|Use at least %k references.|Your parents may sign the last page.|Ask me on %day if something is unclear.|The test on %day covers this part.|Write between %n and %m0 words.|Underline the main ideas.|Keep the rough work on the left page.|Submit a photo of the finished page.|We will check it together in class.|Extra credit for an example from your town.|Page %n has a hint.|Name the units in each answer.|Round to two decimals.|Quote one line and say why you chose it.'.split(
    '|',
  );
const EXTRA =
  'careful observation clear reasoning patient practice family village market cricket river temple garden kitchen railway station hospital festival harvest bicycle library newspaper grandmother neighbour shopkeeper engineer farmer painter doctor teacher museum window lantern kite mango rice pepper cotton iron copper silver glass paper thread wheel lever pulley balance compass thermometer battery switch bulb magnet mirror lens shadow rainbow thunder cloud valley plateau desert forest island harbour bridge tunnel canal'.split(
    ' ',
  );
const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** A small fast generator with a fixed start, so that every run measures the same texts. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Early entries are several times as likely as late ones. */
const skewed = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() ** 1.6 * list.length)]!;

export const title = (random: () => number): string => `${skewed(random, ACTIONS)} ${skewed(random, TOPICS)}`;

function sentence(random: () => number): string {
  const roll = random();
  if (roll < 0.35) return `${skewed(random, ACTIONS)} ${skewed(random, TOPICS)}.`;
  if (roll < 0.8) {
    const n = Math.floor(random() * 40) + 1;
    return skewed(random, DETAILS)
      .replace('%n', String(n))
      .replace('%m', String(n + Math.floor(random() * 30) + 2))
      .replace('%k', String(Math.floor(random() * 9) + 1))
      .replace('%day', skewed(random, DAYS));
  }
  return `Think of the ${skewed(random, EXTRA)}, the ${skewed(random, EXTRA)} and the ${skewed(random, EXTRA)}.`;
}

/** Sentences of about this many characters together, cut at the last one. */
export function prose(random: () => number, characters: number): string {
  let text = '';
  while (text.length < characters) text += `${text ? ' ' : ''}${sentence(random)}`;
  return text.slice(0, characters).trimEnd();
}
