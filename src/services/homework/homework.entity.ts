import Joi from 'joi';
import { boolean, date, defineEntity, instant, int, json, oneOf, text, uuid } from '../../lib/entity.ts';
import { isoInstant, line, schoolDate, uuid as uuidRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

export interface Homework {
  id: string;
  class_subject_id: string;
  staff_id: string;
  group_id: string | null;
  title: string;
  description: string;
  assigned_on: string;
  publish_at: string;
  due_at: string;
  late_until_at: string | null;
  late_deduct_bp: number;
  late_floor_bp: number;
  max_x100: number | null;
  submission_kind: 'none' | 'text' | 'file' | 'any';
  max_files: number;
  max_revisions: number;
  is_autosubmit: boolean;
  is_missing_zero: boolean;
  status: 'draft' | 'published' | 'closed' | 'archived';
  /** Material; null or absent when there never was any. */
  file_ids?: string[] | null;
  created_at: string;
  updated_at: string;
  deleted_at: string | null;
}

const basisPoints = Joi.number().integer().min(0).max(10_000);

/** What a client may say of a homework; the database accepts nothing more. */
export const homeworkFields = {
  title: line(LIMITS.homework.title),
  description: Joi.string().trim().allow('').max(LIMITS.homework.description),
  publish_at: isoInstant,
  due_at: isoInstant,
  late_until_at: isoInstant.allow(null),
  late_deduct_bp: basisPoints,
  late_floor_bp: basisPoints,
  max_x100: Joi.number().integer().min(1).max(1_000_000).allow(null),
  submission_kind: Joi.string().valid('none', 'text', 'file', 'any'),
  max_files: Joi.number().integer().min(0).max(20),
  max_revisions: Joi.number().integer().min(1).max(100),
  is_autosubmit: Joi.boolean(),
  is_missing_zero: Joi.boolean(),
  status: Joi.string().valid('draft', 'published', 'closed', 'archived'),
};

/** Ids of uploaded files, in the order they are shown. */
export const fileIds = Joi.array().items(uuidRule.optional()).max(20).unique();

const HANDED_IN = `EXISTS (SELECT 1 FROM homework_submissions s WHERE s.homework_id = stored.id AND s.status <> 'draft')`;

/** Texts of a school's working day: the dictionary that short descriptions are compressed with. */
const EXAMPLES: [title: string, description: string][] = [
  [
    'Fractions and decimals',
    'Complete exercise 3.2 from the textbook. Show all steps of the working and check your answers.',
  ],
  [
    'Essay: my favourite season',
    'Write an essay of about 200 words in your notebook. Use a pencil for the first draft and underline the title.',
  ],
  [
    'Plant cell diagram',
    'Draw a labelled diagram of the plant cell and explain the function of each part in your own words.',
  ],
  [
    'Prepare for the unit test',
    'Revise chapters 4 to 6 and solve the sample questions. The test on Monday covers the whole unit.',
  ],
  [
    'Reading and comprehension',
    'Read pages 42 to 48 and answer the questions at the end of the chapter. Late work loses marks.',
  ],
  ['Multiplication tables', 'Practise the tables from 12 to 20 and be ready to recite them in class on Friday.'],
  [
    'Map work',
    'Mark the rivers, mountains and capitals on the outline map of India. Use different colours and a ruler.',
  ],
  ['Grammar: tenses', 'Complete the worksheet on tenses and voice. Write two examples of your own for each rule.'],
  [
    'Science experiment',
    'Do the experiment with your group, record the observations in a table and write a conclusion.',
  ],
  [
    'History project',
    'Collect pictures about the freedom movement and paste them in your project file. Write short notes about each.',
  ],
  [
    'Poem recitation',
    'Learn the poem by heart and explain its main ideas in two paragraphs. Ask me if something is unclear.',
  ],
  [
    'Geometry',
    'Solve questions 1 to 10 about triangles. Draw the figures with compass and ruler and give reasons for each step.',
  ],
  [
    'Hindi letter writing',
    'Write a letter to your friend about the summer holidays. Bring your notebook to class on Wednesday.',
  ],
  [
    'Computer practice',
    'Write a program with a loop and a function, test it and submit the printed result on Thursday.',
  ],
  [
    'Percentages and interest',
    'Solve the word problems on simple interest, ratio and proportion from the exercise at the end of the chapter.',
  ],
  [
    'Environment poster',
    'Prepare a poster about saving water. Neat presentation is part of the marks. Submit a photo before Saturday.',
  ],
  [
    'Physics numericals',
    'Answer the numerical questions on speed, distance and acceleration. Name the units and round to two decimals.',
  ],
  [
    'Chemistry revision',
    'List the properties of acids, bases and salts with examples from daily life and balance the equations.',
  ],
  [
    'Civics discussion',
    'Read the lesson about the constitution, find five examples from the newspaper and report on them in class.',
  ],
  [
    'Spelling and vocabulary',
    'Write each new word three times, find its meaning in the dictionary and use it in a sentence on Tuesday.',
  ],
];

export const homeworkEntity = defineEntity({
  name: 'homework',
  service: 'homework',
  kind: 'document',
  columns: {
    id: uuid,
    class_subject_id: uuid,
    staff_id: uuid,
    group_id: uuid,
    title: text,
    description: text,
    assigned_on: date,
    publish_at: instant,
    due_at: instant,
    late_until_at: instant,
    late_deduct_bp: int,
    late_floor_bp: int,
    max_x100: int,
    submission_kind: oneOf('none', 'text', 'file', 'any'),
    max_files: int,
    max_revisions: int,
    is_autosubmit: boolean,
    is_missing_zero: boolean,
    status: oneOf('draft', 'published', 'closed', 'archived'),
    file_ids: json,
    created_at: instant,
    updated_at: instant,
    deleted_at: instant,
  },
  key: ['id'],
  relations: ['class_subject_id'],
  scope: [{ rows: 'classSubjects', column: 'class_subject_id' }],
  schema: Joi.object({
    ...homeworkFields,
    id: uuidRule,
    class_subject_id: uuidRule,
    staff_id: uuidRule,
    group_id: uuidRule.allow(null),
    assigned_on: schoolDate,
    file_ids: fileIds.allow(null).optional(),
    created_at: isoInstant,
    updated_at: isoInstant,
    deleted_at: isoInstant.allow(null),
  }).prefs({ presence: 'required' }),
  lane: 'bulk',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'homework',
    conflict: ['id'],
    version: 'version',
    softDelete: 'deleted_at',
    links: {
      column: 'file_ids',
      table: 'homework_files',
      ownerId: 'homework_id',
      memberId: 'file_id',
      position: 'position',
    },
    refuse: [
      {
        code: 'HAS_SUBMISSIONS',
        message: 'students have handed in, so it cannot be deleted (H6)',
        when: `incoming.deleted_at IS NOT NULL AND ${HANDED_IN}`,
      },
      {
        code: 'DUE_MOVED_EARLIER',
        message: 'students have handed in, so the due date only moves later (H6)',
        when: `incoming.deleted_at IS NULL AND incoming.due_at < stored.due_at AND ${HANDED_IN}`,
      },
    ],
  },
  shape: 1,
  examples: EXAMPLES.map(([title, description]) => ({ title, description })),
});
