import Joi from 'joi';
import { NotFoundError } from '../../errors/catalogue.ts';
import { idParams, isoInstant, line, schoolDate, uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { created, defineRoute, ok, type Route, stored } from '../../lib/route.ts';
import type { ClassService, SubjectFields } from './class-service.ts';
import type { School, Term } from './school.ts';
import type { TermFields, TermRow, YearFields, YearService } from './year-service.ts';

const SERVICE = 'auth';
const read = { capability: 'structure', verb: 'r' } as const;
const write = { capability: 'structure', verb: 'w' } as const;
type Id = { id: string };
type None = Record<string, never>;

const yearFields = {
  name: line(LIMITS.academic_years.name),
  starts_on: schoolDate,
  ends_on: schoolDate,
  is_current: Joi.boolean(),
};
export const yearView = view({ id: uuid, ...yearFields });

const termFields = {
  seq: Joi.number().integer().min(1).max(20),
  name: line(LIMITS.terms.name),
  starts_on: schoolDate,
  ends_on: schoolDate,
};
export const termView = view({
  id: uuid,
  academic_year_id: uuid,
  ...termFields,
  locked_at: isoInstant.allow(null),
});

const subjectFields = {
  code: line(LIMITS.subjects.code),
  name: line(LIMITS.subjects.name),
  is_elective: Joi.boolean(),
};
export const subjectView = view({ id: uuid, ...subjectFields });

/** All fields of a new row, but those that have a default. */
const whole = <T>(fields: Joi.SchemaMap, defaults: Joi.SchemaMap = {}): Joi.ObjectSchema<T> =>
  view({ ...fields, ...defaults });

const toTerm = ({ id, academic_year_id, seq, name, starts_on, ends_on, locked_at }: TermRow) => ({
  id,
  academic_year_id,
  seq,
  name,
  starts_on,
  ends_on,
  locked_at,
});

/** The current year's are kept, and there while the database is away. */
const toCurrentTerm = ({ id, academicYearId, seq, name, startsOn, endsOn, lockedAt }: Term) =>
  toTerm({
    id,
    academic_year_id: academicYearId,
    seq,
    name,
    starts_on: startsOn,
    ends_on: endsOn,
    locked_at: lockedAt,
  });

export const createStructureRoutes = ({
  school,
  years,
  classes,
}: {
  school: School;
  years: YearService;
  classes: ClassService;
}): Route[] => {
  const allYears = async () =>
    (await school.academicYears()).map(({ id, name, startsOn, endsOn, isCurrent }) => ({
      id,
      name,
      starts_on: startsOn,
      ends_on: endsOn,
      is_current: isCurrent,
    }));
  const allSubjects = async () =>
    (await school.subjects()).map(({ id, code, name, isElective }) => ({ id, code, name, is_elective: isElective }));
  const findIn = async <T extends Id>(rows: Promise<T[]>, id: string): Promise<T> => {
    const found = (await rows).find((row) => row.id === id);
    if (!found) throw new NotFoundError();
    return found;
  };
  return [
    defineRoute({
      method: 'GET',
      path: '/academic-years',
      service: SERVICE,
      summary: 'Academic years, newest first',
      mode: 'R',
      access: read,
      within: 'shared',
      response: Joi.array().items(yearView),
      handle: async () => ok(await allYears()),
    }),
    defineRoute<Id>({
      method: 'GET',
      path: '/academic-years/:id',
      service: SERVICE,
      summary: 'One academic year',
      mode: 'R',
      access: read,
      within: 'shared',
      params: idParams,
      response: yearView,
      handle: async ({ params }) => ok(await findIn(allYears(), params.id)),
    }),
    defineRoute<None, None, YearFields>({
      method: 'POST',
      path: '/academic-years',
      service: SERVICE,
      summary: 'Add an academic year; the current one is the only one',
      mode: 'T',
      access: write,
      body: whole<YearFields>(yearFields, { is_current: Joi.boolean().optional().default(false) }),
      response: yearView,
      errors: ['TAKEN', 'DATE_OVERLAP', 'RULE_BROKEN'],
      async handle(context) {
        const year = await years.createYear(context, context.body);
        return created(year, { location: `/api/v1/academic-years/${year.id}` });
      },
    }),
    defineRoute<Id, None, Partial<YearFields>>({
      method: 'PATCH',
      path: '/academic-years/:id',
      service: SERVICE,
      summary: 'Change an academic year, or make it the current one',
      mode: 'T',
      access: write,
      params: idParams,
      body: Joi.object<Partial<YearFields>>(yearFields).min(1),
      response: yearView,
      errors: ['TAKEN', 'DATE_OVERLAP', 'HAS_DATA', 'RULE_BROKEN'],
      handle: async (context) => stored(await years.updateYear(context, context.params.id, context.body)),
    }),
    defineRoute<None, { academic_year_id?: string }>({
      method: 'GET',
      path: '/terms',
      service: SERVICE,
      summary: 'Terms of a year, the current one unless told',
      mode: 'R',
      access: read,
      within: 'shared',
      query: Joi.object<{ academic_year_id?: string }>({ academic_year_id: uuid }),
      response: Joi.array().items(termView),
      async handle({ query: { academic_year_id } }) {
        if (academic_year_id) return ok((await years.terms(academic_year_id)).map(toTerm));
        return ok((await school.terms()).map(toCurrentTerm));
      },
    }),
    defineRoute<Id>({
      method: 'GET',
      path: '/terms/:id',
      service: SERVICE,
      summary: 'One term',
      mode: 'R',
      access: read,
      within: 'shared',
      params: idParams,
      response: termView,
      handle: async ({ params }) => ok(toTerm(await years.term(params.id))),
    }),
    defineRoute<None, None, TermFields & { academic_year_id: string }>({
      method: 'POST',
      path: '/terms',
      service: SERVICE,
      summary: 'Add a term to a year',
      mode: 'T',
      access: write,
      body: whole<TermFields & { academic_year_id: string }>({ academic_year_id: uuid, ...termFields }),
      response: termView,
      errors: ['TAKEN', 'DATE_OVERLAP', 'RULE_BROKEN'],
      async handle(context) {
        const term = await years.createTerm(context, context.body);
        return created(toTerm(term), { location: `/api/v1/terms/${term.id}` });
      },
    }),
    defineRoute<Id, None, Partial<TermFields>>({
      method: 'PATCH',
      path: '/terms/:id',
      service: SERVICE,
      summary: 'Change a term that is not locked',
      mode: 'T',
      access: write,
      params: idParams,
      body: Joi.object<Partial<TermFields>>(termFields).min(1),
      response: termView,
      errors: ['TAKEN', 'DATE_OVERLAP', 'TERM_LOCKED', 'RULE_BROKEN'],
      handle: async (context) => stored(toTerm(await years.updateTerm(context, context.params.id, context.body))),
    }),
    defineRoute<Id>({
      method: 'POST',
      path: '/terms/:id/lock',
      service: SERVICE,
      summary: 'Close a term for good: attendance and marks change no more',
      mode: 'T',
      access: write,
      params: idParams,
      success: [200],
      response: termView,
      errors: ['FLUSH_PENDING'],
      handle: async (context) => stored(toTerm(await years.lockTerm(context, context.params.id))),
    }),
    defineRoute({
      method: 'GET',
      path: '/subjects',
      service: SERVICE,
      summary: 'Subjects by name',
      mode: 'R',
      access: read,
      within: 'shared',
      response: Joi.array().items(subjectView),
      handle: async () => ok(await allSubjects()),
    }),
    defineRoute<Id>({
      method: 'GET',
      path: '/subjects/:id',
      service: SERVICE,
      summary: 'One subject',
      mode: 'R',
      access: read,
      within: 'shared',
      params: idParams,
      response: subjectView,
      handle: async ({ params }) => ok(await findIn(allSubjects(), params.id)),
    }),
    defineRoute<None, None, SubjectFields>({
      method: 'POST',
      path: '/subjects',
      service: SERVICE,
      summary: 'Add a subject',
      mode: 'T',
      access: write,
      body: whole<SubjectFields>(subjectFields, { is_elective: Joi.boolean().optional().default(false) }),
      response: subjectView,
      errors: ['TAKEN'],
      async handle(context) {
        const subject = await classes.createSubject(context, context.body);
        return created(subject, { location: `/api/v1/subjects/${subject.id}` });
      },
    }),
    defineRoute<Id, None, Partial<SubjectFields>>({
      method: 'PATCH',
      path: '/subjects/:id',
      service: SERVICE,
      summary: 'Change a subject',
      mode: 'T',
      access: write,
      params: idParams,
      body: Joi.object<Partial<SubjectFields>>(subjectFields).min(1),
      response: subjectView,
      errors: ['TAKEN'],
      handle: async (context) => stored(await classes.updateSubject(context, context.params.id, context.body)),
    }),
  ];
};
