import Joi from 'joi';
import { decodeInstantCursor, encodeCursor } from '../../lib/cursor.ts';
import { cursor, idParams, isoInstant, pageLimit, uuid } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { defineRoute, ok, type Route, written } from '../../lib/route.ts';
import { fileIds, homeworkFields } from './homework.entity.ts';
import {
  deletedHomework,
  homeworkDetail,
  homeworkView,
  submissionRoster,
  submissionView,
} from './homework.responses.ts';
import { STATES } from './homework-rules.ts';
import type {
  HomeworkChanges,
  HomeworkFilter,
  HomeworkService,
  HomeworkView,
  NewHomework,
} from './homework-service.ts';
import type { SubmissionService, SubmissionView } from './submission-service.ts';

const SERVICE = 'homework';
const LIST = '/api/v1/homework';

const toResource = ({ homework: { deleted_at: _, file_ids, ...fields }, version, isPending }: HomeworkView) => ({
  ...fields,
  file_ids: file_ids ?? [],
  version,
  pending: isPending,
});

const toSubmission = ({ submission, version, isPending, grade }: SubmissionView) => ({
  ...submission,
  file_ids: submission.file_ids ?? [],
  version,
  pending: isPending,
  grade: grade
    ? { status: grade.status, raw_x100: grade.rawX100, final_x100: grade.finalX100, feedback: grade.feedback }
    : null,
});

type ListQuery = Omit<HomeworkFilter, 'after'> & { cursor?: string };

/** What a teacher says of new homework, and what holds where nothing is said; `publish_at` is then the time of the request. */
export const newHomeworkBody = Joi.object<NewHomework>({
  ...homeworkFields,
  class_subject_ids: Joi.array().items(uuid).min(1).max(60).unique().required(),
  title: homeworkFields.title.required(),
  description: homeworkFields.description.default(''),
  due_at: homeworkFields.due_at.required(),
  late_until_at: homeworkFields.late_until_at.default(null),
  late_deduct_bp: homeworkFields.late_deduct_bp.default(0),
  late_floor_bp: homeworkFields.late_floor_bp.default(0),
  max_x100: homeworkFields.max_x100.default(null),
  submission_kind: homeworkFields.submission_kind.default('any'),
  max_files: homeworkFields.max_files.default(5),
  max_revisions: homeworkFields.max_revisions.default(3),
  is_autosubmit: homeworkFields.is_autosubmit.default(false),
  is_missing_zero: homeworkFields.is_missing_zero.default(false),
  status: homeworkFields.status.valid('draft', 'published').default('published'),
  file_ids: fileIds.default([]),
});

interface SubmissionBody {
  body?: string | null;
  file_ids: string[];
  final: boolean;
}

export const createHomeworkRoutes = ({
  homework,
  submissions,
}: {
  homework: HomeworkService;
  submissions: SubmissionService;
}): Route[] => [
  defineRoute<Record<string, never>, ListQuery>({
    method: 'GET',
    path: '/homework',
    service: SERVICE,
    summary: "Homework in the caller's classes, by due date, pending ones included",
    mode: 'R',
    access: { capability: 'homework', verb: 'r' },
    query: Joi.object<ListQuery>({
      class_id: uuid,
      subject_id: uuid,
      status: homeworkFields.status,
      due_from: isoInstant,
      due_to: isoInstant,
      limit: pageLimit,
      cursor,
    }),
    response: Joi.array().items(homeworkView),
    async handle(context) {
      const { cursor: position, ...filter } = context.query;
      const after = decodeInstantCursor(position);
      const { items, next, degraded } = await homework.list(context, { ...filter, ...(after ? { after } : {}) });
      return ok(items.map(toResource), {
        next_cursor: next ? encodeCursor(next) : null,
        ...(degraded.length > 0 ? { degraded } : {}),
      });
    },
  }),
  defineRoute<Record<string, never>, Record<string, never>, NewHomework>({
    method: 'POST',
    path: '/homework',
    service: SERVICE,
    summary: 'Give homework to one or several classes',
    mode: 'B',
    access: { capability: 'homework', verb: 'w' },
    within: { rows: 'taught', id: ({ body }) => body.class_subject_ids, pointer: '/class_subject_ids/*' },
    body: newHomeworkBody,
    entity: 'homework',
    // One, or one for each of several class-subjects.
    response: Joi.alternatives().try(homeworkView, Joi.array().items(homeworkView).min(2)),
    errors: ['BAD_WINDOW', 'FILE_NOT_READY', 'FILE_TYPE'],
    async handle(context) {
      const views = await homework.create(context, context.body);
      const [first] = views;
      const data = views.length === 1 ? toResource(first!) : views.map(toResource);
      const receipts = views.map(({ receipt }) => receipt);
      return written(data, receipts, {
        location: views.length === 1 ? `${LIST}/${first!.homework.id}` : LIST,
        isNew: true,
      });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/homework/:id',
    service: SERVICE,
    summary: 'One homework',
    mode: 'R',
    access: { capability: 'homework', verb: 'r' },
    params: idParams,
    response: homeworkDetail,
    async handle(context) {
      const view = await homework.get(context, context.params.id);
      const mine = await submissions.own(context, view);
      return ok(
        { ...toResource(view), my_submission: mine ? toSubmission(mine) : null },
        { source: view.source, pending: view.isPending },
        { etag: view.version },
      );
    },
  }),
  defineRoute<{ id: string }, Record<string, never>, HomeworkChanges>({
    method: 'PATCH',
    path: '/homework/:id',
    service: SERVICE,
    summary: 'Change a homework',
    mode: 'B',
    access: { capability: 'homework', verb: 'w' },
    params: idParams,
    body: Joi.object<HomeworkChanges>({ ...homeworkFields, file_ids: fileIds }).min(1),
    entity: 'homework',
    response: homeworkView,
    errors: ['HAS_SUBMISSIONS', 'HAS_GRADES', 'VERSION_CONFLICT', 'BAD_WINDOW', 'FILE_NOT_READY', 'FILE_TYPE'],
    async handle(context) {
      const view = await homework.update(context, context.params.id, context.body, context.ifMatch);
      return written(toResource(view), [view.receipt], { location: `${LIST}/${view.homework.id}` });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'DELETE',
    path: '/homework/:id',
    service: SERVICE,
    summary: 'Delete a homework that nobody has handed in',
    mode: 'B',
    access: { capability: 'homework', verb: 'w' },
    params: idParams,
    entity: 'homework',
    response: deletedHomework,
    errors: ['HAS_SUBMISSIONS', 'HAS_GRADES', 'VERSION_CONFLICT'],
    async handle(context) {
      const receipt = await homework.remove(context, context.params.id, context.ifMatch);
      return written({ id: context.params.id, deleted: true }, [receipt]);
    },
  }),
  defineRoute<{ id: string }, Record<string, never>, SubmissionBody>({
    method: 'PUT',
    path: '/homework/:id/submission',
    service: SERVICE,
    summary: 'Save a draft or hand in',
    mode: 'B',
    access: { capability: 'homework', verb: 'submit' },
    params: idParams,
    body: Joi.object<SubmissionBody>({
      body: Joi.string().max(LIMITS.homework_submissions.body).allow('', null),
      file_ids: fileIds.default([]),
      final: Joi.boolean().default(false),
    }),
    entity: 'homework_submission',
    response: submissionView,
    errors: [
      'SUBMISSION_CLOSED',
      'REVISIONS_EXHAUSTED',
      'FILE_NOT_READY',
      'FILE_TYPE',
      'ALREADY_GRADED',
      'RULE_BROKEN',
    ],
    async handle(context) {
      const view = await submissions.save(context, context.params.id, context.body, context.ifMatch);
      return written(toSubmission(view), [view.receipt], { location: `${LIST}/${context.params.id}/submission` });
    },
  }),
  defineRoute<{ id: string }, { student_id?: string }>({
    method: 'GET',
    path: '/homework/:id/submission',
    service: SERVICE,
    summary: "A student's submission",
    mode: 'R',
    access: { capability: 'homework', verb: 'r' },
    params: idParams,
    query: Joi.object<{ student_id?: string }>({ student_id: uuid }),
    response: submissionView,
    async handle(context) {
      const view = await submissions.get(context, context.params.id, context.query.student_id);
      return ok(toSubmission(view), { source: view.source, pending: view.isPending }, { etag: view.version });
    },
  }),
  defineRoute<{ id: string }, { status?: string }>({
    method: 'GET',
    path: '/homework/:id/submissions',
    service: SERVICE,
    summary: 'The class and who has handed in',
    mode: 'R',
    access: { capability: 'homework', verb: 'w' },
    params: idParams,
    query: Joi.object<{ status?: string }>({
      status: Joi.string().valid(...STATES),
    }),
    response: submissionRoster,
    async handle(context) {
      const lines = await submissions.roster(context, context.params.id);
      const { status } = context.query;
      return ok(status ? lines.filter(({ state }) => state === status) : lines, { total: lines.length });
    },
  }),
];
