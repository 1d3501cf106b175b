import type { Role } from '../../../src/lib/actor.ts';
import type { Call } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';
import { announcementBody, eventBody, makeAnnouncement, makeEvent } from './rows.ts';
import type { World } from './worlds.ts';

/** How to ask a route about the rows of a world. */
export interface Target {
  /** Path with its query, below `/api/v1`. @param made id of what `make` made */
  path: (world: World, made: string) => string;
  /** Makes a row of the world for this request alone: it may not survive it. */
  make?: (admin: Call, world: World) => Promise<string>;
  body?: (world: World) => unknown;
  /** A list: the id of the world's row that it holds for those who reach it; it answers 200 to the others, too. */
  lists?: (world: World) => string;
  /** No row of the school decides: whoever has the capability is answered, be it that the request makes no sense. */
  isRowless?: true;
  /** The login that asks may not be used again. */
  endsLogin?: true;
  /** The route is for fewer roles than its capability, as DOMAIN §4 says. */
  only?: readonly Role[];
}

const rowless = (path: string, body?: unknown): Target => ({
  path: () => path,
  isRowless: true,
  ...(body === undefined ? {} : { body: () => body }),
});

/** Nobody's. */
const NO_ID = '00000000-0000-7000-8000-000000000000';
/** Changes that only administrators may ask for: they are told that there is no such row, or what the body lacks. */
const forAdmins = (...routes: string[]): Record<string, Target> =>
  Object.fromEntries(
    routes.map((route) => [
      route,
      rowless(route.split(' ')[1]!.replace(':id', NO_ID), route.startsWith('GET') ? undefined : {}),
    ]),
  );

const STAFF: readonly Role[] = ['admin', 'principal', 'teacher'];
const FAILED = 'homework~00000000-0000-7000-8000-000000000000';

/** Every route that asks for a permission; the test fails while one is missing here. */
export const TARGETS: Readonly<Record<string, Target>> = {
  'PATCH /auth/me': rowless('/auth/me', { phone: '+91 98220 12345' }),

  'POST /auth/logout': { ...rowless('/auth/logout', {}), endsLogin: true },
  'GET /auth/sessions': rowless('/auth/sessions'),
  'DELETE /auth/sessions/:sid': rowless(`/auth/sessions/${NO_ID}`),
  'POST /auth/password/change': rowless('/auth/password/change', {}),

  ...forAdmins(
    'GET /users',
    'GET /users/:id',
    'POST /users',
    'PATCH /users/:id',
    'POST /users/:id/suspend',
    'POST /users/:id/activate',
    'PUT /users/:id/roles',
    'POST /imports/users',
    'POST /imports/students',
  ),

  'GET /academic-years': rowless('/academic-years'),
  'GET /academic-years/:id': rowless(`/academic-years/${NO_ID}`),
  'GET /terms': rowless('/terms'),
  'GET /terms/:id': rowless(`/terms/${NO_ID}`),
  'GET /subjects': rowless('/subjects'),
  'GET /subjects/:id': rowless(`/subjects/${NO_ID}`),
  'GET /classes': { path: () => '/classes', lists: ({ classId }) => classId },
  'GET /classes/:id': { path: ({ classId }) => `/classes/${classId}` },
  'GET /classes/:id/subjects': { path: ({ classId }) => `/classes/${classId}/subjects` },
  'GET /classes/:id/timetable': { path: ({ classId }) => `/classes/${classId}/timetable` },
  'GET /classes/:id/students': { path: ({ classId }) => `/classes/${classId}/students` },
  'GET /students': {
    path: ({ classId }) => `/students?class_id=${classId}&limit=100`,
    lists: ({ studentId }) => studentId,
  },
  'GET /students/:id': { path: ({ studentId }) => `/students/${studentId}` },
  ...forAdmins(
    'POST /academic-years',
    'PATCH /academic-years/:id',
    'POST /terms',
    'PATCH /terms/:id',
    'POST /terms/:id/lock',
    'POST /subjects',
    'PATCH /subjects/:id',
    'POST /classes',
    'PATCH /classes/:id',
    'PUT /classes/:id/subjects',
    'PUT /classes/:id/timetable',
    'POST /classes/:id/substitutions',
    'POST /students',
    'PATCH /students/:id',
    'POST /students/:id/enrollments',
    'POST /students/:id/leave',
    'PUT /students/:id/guardians',
  ),

  'GET /homework': {
    path: ({ classId }) => `/homework?class_id=${classId}&limit=100`,
    lists: ({ homeworkId }) => homeworkId,
  },
  'POST /homework': {
    path: () => '/homework',
    body: ({ classSubjectId }) => ({
      class_subject_ids: [classSubjectId],
      title: 'Permissions',
      due_at: `${TODAY}T18:00:00Z`,
    }),
  },
  'GET /homework/:id': { path: ({ homeworkId }) => `/homework/${homeworkId}` },
  'PATCH /homework/:id': { path: ({ homeworkId }) => `/homework/${homeworkId}`, body: () => ({ title: 'Changed' }) },
  'DELETE /homework/:id': { path: ({ homeworkId }) => `/homework/${homeworkId}` },
  'PUT /homework/:id/submission': {
    path: ({ homeworkId }) => `/homework/${homeworkId}/submission`,
    body: () => ({ body: 'An answer' }),
  },
  'GET /homework/:id/submission': {
    path: ({ homeworkId, studentId }) => `/homework/${homeworkId}/submission?student_id=${studentId}`,
  },
  'GET /homework/:id/submissions': { path: ({ homeworkId }) => `/homework/${homeworkId}/submissions` },

  'GET /attendance/classes/:id/sheets/:date': {
    path: ({ classId }) => `/attendance/classes/${classId}/sheets/${TODAY}`,
    only: STAFF,
  },
  'PUT /attendance/classes/:id/sheets/:date': {
    path: ({ classId }) => `/attendance/classes/${classId}/sheets/${TODAY}`,
    body: ({ studentId }) => ({ entries: [{ student_id: studentId, status: 'present' }] }),
  },
  'GET /attendance/students/:id': {
    path: ({ studentId }) => `/attendance/students/${studentId}?from=${TODAY}&to=${TODAY}`,
  },
  'GET /attendance/students/:id/summary': {
    path: ({ studentId, termId }) => `/attendance/students/${studentId}/summary?term_id=${termId}`,
  },
  'GET /attendance/classes/:id/summary': {
    path: ({ classId }) => `/attendance/classes/${classId}/summary?month=${TODAY.slice(0, 7)}`,
    only: STAFF,
  },
  'GET /attendance/missing': { ...rowless(`/attendance/missing?date=${TODAY}`), only: STAFF },
  'GET /attendance/absentees': { ...rowless(`/attendance/absentees?date=${TODAY}`), only: STAFF },
  'GET /attendance/consecutive': { ...rowless('/attendance/consecutive'), only: STAFF },

  'GET /events': {
    path: () => `/events?from=${TODAY}&to=${TODAY}T23:59:59Z&limit=100`,
    lists: ({ eventId }) => eventId,
  },
  'POST /events': { path: () => '/events', body: ({ classId }) => eventBody(classId) },
  'GET /events/month/:month': { path: () => `/events/month/${TODAY.slice(0, 7)}`, lists: ({ eventId }) => eventId },
  'GET /events/:id': { path: ({ eventId }) => `/events/${eventId}` },
  'PATCH /events/:id': { path: ({ eventId }) => `/events/${eventId}`, body: () => ({ title: 'Changed' }) },
  'DELETE /events/:id': {
    make: (admin, { classId }) => makeEvent(admin, classId),
    path: (_world, id) => `/events/${id}`,
  },
  'PUT /events/:id/rsvp': { path: ({ eventId }) => `/events/${eventId}/rsvp`, body: () => ({ answer: 'yes' }) },
  'GET /events/:id/rsvps': { path: ({ eventId }) => `/events/${eventId}/rsvps` },
  'GET /school-days': rowless(`/school-days?from=${TODAY}&to=${TODAY}`),
  'POST /calendar/feed': rowless('/calendar/feed'),
  'DELETE /calendar/feed': rowless('/calendar/feed'),
  'GET /dashboard/student': {
    path: ({ studentId }) => `/dashboard/student?student_id=${studentId}`,
    only: ['admin', 'principal', 'student', 'parent'],
  },
  'GET /dashboard/parent': { ...rowless('/dashboard/parent'), only: ['parent'] },
  'GET /dashboard/teacher': { ...rowless('/dashboard/teacher'), only: ['teacher'] },
  'GET /dashboard/admin': { ...rowless('/dashboard/admin'), only: ['admin', 'principal'] },
  'GET /leaderboards/classes/:id': { path: ({ classId }) => `/leaderboards/classes/${classId}` },
  'POST /points': {
    path: () => '/points',
    body: ({ studentId }) => ({ student_id: studentId, points: 1, reason: 'Permissions' }),
  },

  'GET /announcements': { path: () => '/announcements?limit=100', lists: ({ announcementId }) => announcementId },
  'POST /announcements': { path: () => '/announcements', body: ({ classId }) => announcementBody(classId) },
  'GET /announcements/:id': { path: ({ announcementId }) => `/announcements/${announcementId}` },
  'PATCH /announcements/:id': {
    path: ({ announcementId }) => `/announcements/${announcementId}`,
    body: () => ({ title: 'Changed' }),
  },
  'DELETE /announcements/:id': {
    make: (admin, { classId }) => makeAnnouncement(admin, classId),
    path: (_world, id) => `/announcements/${id}`,
  },

  'GET /activity-logs': rowless('/activity-logs'),

  'GET /admin/buffer': rowless('/admin/buffer'),
  'GET /admin/buffer/:entity/:id': rowless(`/admin/buffer/homework/${FAILED.split('~')[1]}`),
  'POST /admin/sync': rowless('/admin/sync'),
  'GET /admin/sync/runs': rowless('/admin/sync/runs'),
  'GET /admin/sync/runs/:id': rowless('/admin/sync/runs/none'),
  'GET /admin/failed-writes': rowless('/admin/failed-writes'),
  'GET /admin/failed-writes/:id': rowless(`/admin/failed-writes/${FAILED}`),
  'PATCH /admin/failed-writes/:id': rowless(`/admin/failed-writes/${FAILED}`, { document: {} }),
  'POST /admin/failed-writes/replay': rowless('/admin/failed-writes/replay'),
  'POST /admin/failed-writes/:id/replay': rowless(`/admin/failed-writes/${FAILED}/replay`),
  'DELETE /admin/failed-writes/:id': rowless(`/admin/failed-writes/${FAILED}?reason=permissions`),
};
