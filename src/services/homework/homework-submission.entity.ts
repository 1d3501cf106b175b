import Joi from 'joi';
import { boolean, defineEntity, instant, int, json, oneOf, text, uuid } from '../../lib/entity.ts';
import { submissionId } from '../../lib/ids.ts';
import { isoInstant, uuid as uuidRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { fileIds } from './homework.entity.ts';

export { submissionId };

export interface HomeworkSubmission {
  id: string;
  homework_id: string;
  student_id: string;
  revision: number;
  body: string | null;
  status: 'draft' | 'submitted' | 'returned';
  saved_at: string;
  submitted_at: string | null;
  is_late: boolean;
  late_days: number;
  /** Files of this revision. */
  file_ids?: string[] | null;
  created_at: string;
  updated_at: string;
}

const GRADED_BEFORE = `EXISTS (SELECT 1 FROM homework_grades g WHERE g.homework_id = stored.homework_id
  AND g.student_id = stored.student_id AND g.status <> 'returned' AND g.graded_at < incoming.saved_at)`;

export const homeworkSubmissionEntity = defineEntity({
  name: 'homework_submission',
  service: 'homework',
  kind: 'document',
  columns: {
    id: uuid,
    homework_id: uuid,
    student_id: uuid,
    revision: int,
    body: text,
    status: oneOf('draft', 'submitted', 'returned'),
    saved_at: instant,
    submitted_at: instant,
    is_late: boolean,
    late_days: int,
    file_ids: json,
    created_at: instant,
    updated_at: instant,
  },
  // All pending submissions of a homework lie in one bucket, so its list needs no index.
  key: ['homework_id', 'student_id'],
  relations: ['homework_id'],
  // Its student and the parents, and whoever runs the homework.
  scope: [
    { rows: 'students', column: 'student_id' },
    { rows: 'parents', column: 'homework_id' },
  ],
  derived: { id: ({ homework_id, student_id }) => submissionId(homework_id as string, student_id as string) },
  parents: [{ entity: 'homework', key: ({ homework_id }) => homework_id as string }],
  schema: Joi.object({
    id: uuidRule,
    homework_id: uuidRule,
    student_id: uuidRule,
    revision: Joi.number().integer().min(0).max(1_000),
    body: Joi.string().max(LIMITS.homework_submissions.body).allow('', null),
    status: Joi.string().valid('draft', 'submitted', 'returned'),
    saved_at: isoInstant,
    submitted_at: isoInstant.allow(null),
    is_late: Joi.boolean(),
    late_days: Joi.number().integer().min(0).max(10_000),
    file_ids: fileIds.allow(null).optional(),
    created_at: isoInstant,
    updated_at: isoInstant,
  }).prefs({ presence: 'required' }),
  lane: 'fast',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'homework_submissions',
    conflict: ['homework_id', 'student_id'],
    version: 'version',
    links: {
      column: 'file_ids',
      table: 'homework_submission_files',
      ownerId: 'submission_id',
      memberId: 'file_id',
      since: 'revision',
    },
    refuse: [
      {
        code: 'ALREADY_SUBMITTED',
        message: 'a draft never replaces what is handed in (H4)',
        when: "incoming.status = 'draft' AND stored.status <> 'draft'",
      },
      {
        code: 'ALREADY_GRADED',
        message: 'it was graded before this revision came (H3)',
        when: `incoming.revision > stored.revision AND ${GRADED_BEFORE}`,
      },
    ],
  },
  shape: 1,
  examples: [
    {
      body: 'I have solved all questions of the exercise. The answers are: 1. the product is 24, 2. the sum of the angles is 180 degrees, 3. because the two sides are equal.',
    },
    {
      body: 'My essay: In the summer holidays we went to my grandmother in the village. Every morning I helped in the garden and in the evening we played cricket near the river.',
    },
    {
      body: 'Observation: the plant that stood in the light has grown, the one in the dark has not. Conclusion: plants need sunlight to make their food. This is called photosynthesis.',
    },
    {
      body: 'The main idea of the poem is that we should not give up. I like the second paragraph, since the poet describes how the bird tries again and again until it can fly.',
    },
    {
      body: 'Answer to question 1: The causes of the event were the high taxes and the new laws. Answer to question 2: Its effects were that the people came together and asked for their rights.',
    },
  ],
});
