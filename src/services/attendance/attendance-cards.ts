import Joi from 'joi';
import { type AnyCard, type CardDefinition, KEPT_WHILE_TOLD_SECONDS, type Touch } from '../../lib/cards.ts';
import type { DomainEvent } from '../../lib/events.ts';
import { uuid } from '../../lib/joi.ts';
import type { School } from '../school/school.ts';
import { STATUSES } from './attendance.entity.ts';
import type { AttendanceChanged } from './attendance.events.ts';
import type { AttendanceMarks } from './attendance-marks.ts';
import { noCounts, percentageBp } from './attendance-rules.ts';

const percentage = Joi.number().integer().min(0).max(10_000).allow(null).required();

const sumOf = (marks: readonly { status: (typeof STATUSES)[number] }[]) => {
  const counts = noCounts();
  for (const { status } of marks) counts[status]++;
  return percentageBp(counts);
};

/** What dashboards show of the day's rolls (DB1). */
export function createAttendanceCards({ marks, school }: { marks: AttendanceMarks; school: School }): AnyCard[] {
  const notTaken = async (on: string) => {
    const [day] = await school.schoolDays(on, on);
    if (!day?.isOpen) return [];
    const [taken, classes] = await Promise.all([marks.takenClasses(on), school.classes()]);
    return classes.filter(({ id }) => !taken.has(id));
  };
  const saved = async ({ payload }: DomainEvent): Promise<readonly Touch[]> => {
    const { class_id, changed } = payload as unknown as AttendanceChanged;
    // Whoever has left the class shows its marks, and is not touched with it. When nobody knows who has, all are told.
    const roster = await school.roster(class_id, await school.today()).catch(() => []);
    const members = new Set(roster.map(({ studentId }) => studentId));
    const others = changed.filter(({ student: id }) => !members.has(id));
    return [`class:${class_id}`, 'school', ...others.map(({ student: id }) => `student:${id}` as const)];
  };
  // Not by `attendance.stored`: cards show what is saved as if it were stored, so storing changes none.
  const touches = {
    'attendance.saved': saved,
    // AT8: the rolls of its day count no more.
    'calendar.holiday.changed': (): readonly Touch[] => ['everybody'],
  };
  const named = {
    'school.class.changed': ({ payload }: DomainEvent): readonly Touch[] => [`class:${payload.class_id}`, 'school'],
  };

  const student: CardDefinition<'student'> = {
    name: 'attendance',
    dashboard: 'student',
    schema: Joi.object({
      today: Joi.string()
        .valid(...STATUSES)
        .allow(null)
        .required(),
      month_pct_bp: percentage,
    }),
    touches,
    keptSeconds: KEPT_WHILE_TOLD_SECONDS,
    async load({ studentId, today }) {
      const from = `${today.slice(0, 7)}-01`;
      const own = await marks.ofStudent(studentId, { from, to: today }, await school.enrolments(studentId));
      return { today: own.find(({ onDate }) => onDate === today)?.status ?? null, month_pct_bp: sumOf(own) };
    },
  };
  const teacher: CardDefinition<'teacher'> = {
    name: 'attendance',
    dashboard: 'teacher',
    schema: Joi.object({
      sheets_not_taken: Joi.array()
        .items(Joi.object({ class_id: uuid.required(), class_name: Joi.string().required() }))
        .required(),
    }),
    touches: { ...touches, ...named },
    async load({ homerooms, today }) {
      const own = (await notTaken(today)).filter(({ id }) => homerooms.some((homeroom) => homeroom.id === id));
      return { sheets_not_taken: own.map(({ id, name }) => ({ class_id: id, class_name: name })) };
    },
  };
  const admin: CardDefinition<'admin'> = {
    name: 'attendance',
    dashboard: 'admin',
    schema: Joi.object({ pct_bp: percentage, missing_sheets: Joi.number().integer().min(0).required() }),
    touches: { ...touches, ...named },
    async load({ today }) {
      const [all, missing] = await Promise.all([
        marks.list({ from: today, to: today }, { column: 'on_date', values: [today] }),
        notTaken(today),
      ]);
      return { pct_bp: sumOf(all), missing_sheets: missing.length };
    },
  };
  return [student, teacher, admin];
}
