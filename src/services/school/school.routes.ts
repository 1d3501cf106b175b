import Joi from 'joi';
import { schoolDateOf } from '../../lib/clock.ts';
import { idParams, isoInstant, schoolDate, uuid, view } from '../../lib/joi.ts';
import { defineRoute, ok, type Route } from '../../lib/route.ts';
import { reaches, reachOf, requireReach } from '../scope.ts';
import type { School } from './school.ts';

const period = { id: uuid, name: Joi.string(), starts_on: schoolDate, ends_on: schoolDate };
const structure = { capability: 'structure', verb: 'r' } as const;

export const createSchoolRoutes = ({ school }: { school: School }): Route[] => [
  defineRoute({
    method: 'GET',
    path: '/academic-years',
    service: 'auth',
    summary: 'Academic years, newest first',
    mode: 'R',
    access: structure,
    response: Joi.array().items(view({ ...period, is_current: Joi.boolean() })),
    handle: async () =>
      ok(
        (await school.academicYears()).map(({ id, name, startsOn, endsOn, isCurrent }) => ({
          id,
          name,
          starts_on: startsOn,
          ends_on: endsOn,
          is_current: isCurrent,
        })),
      ),
  }),
  defineRoute({
    method: 'GET',
    path: '/terms',
    service: 'auth',
    summary: 'Terms of the current year',
    mode: 'R',
    access: structure,
    response: Joi.array().items(view({ ...period, locked_at: isoInstant.allow(null) })),
    handle: async () =>
      ok(
        (await school.terms()).map(({ id, name, startsOn, endsOn, lockedAt }) => ({
          id,
          name,
          starts_on: startsOn,
          ends_on: endsOn,
          locked_at: lockedAt,
        })),
      ),
  }),
  defineRoute({
    method: 'GET',
    path: '/subjects',
    service: 'auth',
    summary: 'Subjects by name',
    mode: 'R',
    access: structure,
    response: Joi.array().items(view({ id: uuid, code: Joi.string(), name: Joi.string(), is_elective: Joi.boolean() })),
    handle: async () =>
      ok(
        (await school.subjects()).map(({ id, code, name, isElective }) => ({
          id,
          code,
          name,
          is_elective: isElective,
        })),
      ),
  }),
  defineRoute({
    method: 'GET',
    path: '/classes',
    service: 'auth',
    summary: "Classes of the current year in the caller's reach",
    mode: 'R',
    access: structure,
    response: Joi.array().items(
      view({
        id: uuid,
        name: Joi.string(),
        grade: Joi.number().integer().min(1).max(12),
        section: Joi.string(),
        homeroom_staff_id: uuid.allow(null),
      }),
    ),
    async handle({ actor, scope }) {
      const reach = await reachOf(actor, scope, school);
      const classes = (await school.classes()).filter(({ id }) => reach.all || reach.classes.has(id));
      return ok(
        classes.map(({ id, name, grade, section, homeroomStaffId }) => ({
          id,
          name,
          grade,
          section,
          homeroom_staff_id: homeroomStaffId,
        })),
      );
    },
  }),
  defineRoute<{ id: string }, { on?: string }>({
    method: 'GET',
    path: '/classes/:id/students',
    service: 'auth',
    summary: 'Students of a class on a date',
    mode: 'R',
    access: { capability: 'students', verb: 'r' },
    params: idParams,
    query: Joi.object<{ on?: string }>({ on: schoolDate }),
    response: Joi.array().items(
      view({ student_id: uuid, full_name: Joi.string(), roll_no: Joi.number().integer().min(1) }),
    ),
    async handle({ actor, scope, params, query, now }) {
      const reach = await reachOf(actor, scope, school);
      requireReach(reach, 'classes', params.id);
      const on = query.on ?? schoolDateOf(now, await school.timezone());
      // Families see their own rows of the class.
      const isLed = reaches(reach, 'ledClasses', params.id);
      const roster = (await school.roster(params.id, on)).filter(
        ({ studentId }) => isLed || reach.students.has(studentId),
      );
      return ok(
        roster.map(({ studentId, fullName, rollNo }) => ({
          student_id: studentId,
          full_name: fullName,
          roll_no: rollNo,
        })),
      );
    },
  }),
];
