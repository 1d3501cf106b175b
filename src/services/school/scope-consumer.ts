import type { Knex } from 'knex';
import type { EventConsumer } from '../../lib/events.ts';
import { SCHOOL_COPIES } from './school.ts';
import type { SchoolCaches } from './school-caches.ts';
import { usersOfStaff } from './teaching.ts';

/**
 * Drops once more what a change has made stale, by its event. Services do so themselves after their commit; this is for those
 * that died in between, or had no Redis then.
 */
export const createScopeConsumer = ({ caches, knex }: { caches: SchoolCaches; knex: Knex }): EventConsumer => ({
  name: 'school-scopes',
  service: 'auth',
  on: [
    'auth.user.changed',
    'auth.user.suspended',
    'school.enrollment.changed',
    'school.assignment.changed',
    'school.class.changed',
    'school.student.changed',
    'school.subject.changed',
  ],
  async handle({ name, payload }) {
    const id = (field: string): string | null => (payload[field] as string | null | undefined) ?? null;
    if (name === 'school.enrollment.changed') await caches.forgetMembership(id('student_id')!, [id('from'), id('to')]);
    else if (name === 'school.assignment.changed')
      await caches.forget({
        copies: [SCHOOL_COPIES.classes, SCHOOL_COPIES.classSubjects],
        users: await usersOfStaff(knex, [id('from'), id('staff_id')]),
      });
    else if (name === 'school.class.changed') await caches.forgetClass(id('class_id')!);
    else if (name === 'school.student.changed') await caches.forgetStudent(id('student_id')!);
    else if (name === 'school.subject.changed') await caches.forgetSubject(id('subject_id')!);
    else await caches.forget({ users: [id('user_id')] });
  },
});
