import type { Random } from './random.ts';

/** What each subject is about this year. */
const TOPICS: Readonly<Record<string, readonly string[]>> = {
  MAT: [
    'fractions',
    'linear equations',
    'ratio and proportion',
    'the area of triangles',
    'percentages',
    'integers',
    'bar graphs',
    'prime factors',
    'angles and parallel lines',
    'decimals',
  ],
  ENG: [
    'the simple past',
    'reported speech',
    'a letter to the editor',
    'the poem of the week',
    'adjectives and adverbs',
    'chapter three of the reader',
    'a diary entry',
    'the passive voice',
  ],
  HIN: ['संज्ञा और सर्वनाम', 'मुहावरे', 'पत्र लेखन', 'कबीर के दोहे', 'विलोम शब्द', 'पाठ पाँच के प्रश्न', 'निबंध: मेरा गाँव'],
  EVS: [
    'plants around us',
    'saving water',
    'the food we eat',
    'birds and their nests',
    'our neighbourhood',
    'festivals of India',
  ],
  SCI: [
    'photosynthesis',
    'acids and bases',
    'the human eye',
    'heat and temperature',
    'cells and tissues',
    'motion and speed',
    'electric circuits',
    'separation of mixtures',
  ],
  SST: [
    'the Mughal empire',
    'the Constitution',
    'latitudes and longitudes',
    'the water cycle',
    'local government',
    'the freedom struggle',
    'resources of India',
  ],
  CSC: [
    'loops in Python',
    'spreadsheet formulas',
    'safe passwords',
    'binary numbers',
    'flow charts',
    'HTML tables',
    'sorting by hand',
  ],
  PED: ['a week of exercise', 'rules of kabaddi', 'balanced diet', 'first aid', 'yoga postures'],
  ART: ['a still life', 'warli painting', 'colour wheels', 'a poster for the science fair', 'perspective drawing'],
  SAN: ['रामः शब्दरूपाणि', 'धातुरूपाणि', 'सुभाषितानि', 'सन्धिः', 'अनुवादः'],
  PHY: ['projectile motion', 'Newton’s laws', 'work and energy', 'Gauss’s law', 'wave optics', 'Kirchhoff’s laws'],
  CHE: ['the periodic table', 'chemical equilibrium', 'organic nomenclature', 'electrochemistry', 'the mole concept'],
  BIO: ['genetics', 'cell division', 'plant physiology', 'the nervous system', 'ecosystems'],
  ECO: ['demand and supply', 'national income', 'money and banking', 'the five-year plans', 'inflation'],
};

const TITLES = [
  'Practice: {t}',
  'Worksheet on {t}',
  'Notes and questions: {t}',
  'Revise {t}',
  'Project: {t}',
  'Reading: {t}',
  'Problems on {t}',
];

const TASKS = [
  'Read the section on {t} again and underline the three sentences you find most important.',
  'Answer questions {a} to {b} at the end of the chapter in full sentences.',
  'Solve exercises {a} to {b} and show every step of your working.',
  'Explain {t} in your own words, as you would to a younger friend.',
  'Draw a neat labelled diagram and write five lines about it.',
  'Find two examples of {t} at home or on your way to school and describe them.',
  'Write {c} words; check your spelling before you hand it in.',
  'Compare your results with a partner and note where you differ and why.',
  'Make a table with at least {a} rows and draw one conclusion from it.',
  'Keep the textbook closed for the last question.',
];

const CLOSINGS = [
  'Late work loses marks as agreed in class.',
  'Photographs of your notebook are fine if they are readable.',
  'Ask in the next lesson if anything is unclear.',
  'We will discuss the answers together on the day after it is due.',
  'Bring the notebook to class as well.',
];

const ANSWERS = [
  'I did all the questions and checked the answers at the back of the book.',
  'Question {a} was difficult, so I wrote down how far I got.',
  'The main idea is that one part depends on the other, which the diagram shows.',
  'First I listed what is given, then what is asked, then I chose the formula.',
  'The result is {c}, because both sides have to stay equal.',
  'My example is from our kitchen, where my grandmother does this every morning.',
  'In the second part I compared both cases in a table with {a} rows.',
  'I think the author wants to say that small steps matter.',
  'I measured it three times and took the mean, {a}.{b} cm.',
  'My conclusion is that it works, but only as long as nothing else changes.',
];

const FEEDBACK = [
  'Clear working, well done.',
  'Good, but give reasons for your answers.',
  'Check question {a} again, the sign is wrong.',
  'Neat diagram; label the axes next time.',
  'Please write in full sentences.',
  'Excellent.',
  'Half of the questions are missing.',
  'See me after class about question {a}.',
];

const fill = (random: Random, template: string, topic: string): string =>
  template.replace(/\{(\w)\}/g, (_, slot) => {
    if (slot === 't') return topic;
    return String(slot === 'a' ? random.int(2, 9) : slot === 'b' ? random.int(10, 24) : random.int(4, 30) * 10);
  });

/** Several different sentences of a list, in its order. */
function sentences(random: Random, from: readonly string[], count: number, topic: string): string {
  const start = random.int(0, from.length - 1);
  return Array.from({ length: count }, (_, step) => fill(random, from[(start + step * 3) % from.length]!, topic)).join(
    ' ',
  );
}

/** Title and description of an assignment in a subject. */
export function assignmentText(random: Random, code: string): { title: string; description: string } {
  const topic = random.pick(TOPICS[code]!);
  return {
    title: fill(random, random.pick(TITLES), topic),
    description: `${sentences(random, TASKS, random.int(2, 5), topic)}\n\n${random.pick(CLOSINGS)}`,
  };
}

export const answerText = (random: Random): string => sentences(random, ANSWERS, random.int(1, 5), '');

export const feedbackText = (random: Random): string => fill(random, random.pick(FEEDBACK), '');
