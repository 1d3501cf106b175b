import Joi from 'joi';
import { date, defineEntity, instant, int, oneOf, text, uuid } from '../../lib/entity.ts';
import { sheetId } from '../../lib/ids.ts';
import { isoInstant, schoolDate, uuid as uuidRule } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

export const STATUSES = ['present', 'late', 'half_day', 'absent', 'excused', 'on_duty'] as const;
export type AttendanceStatus = (typeof STATUSES)[number];

export interface SheetHead {
  id: string;
  class_id: string;
  on_date: string;
  period_no: number;
  class_subject_id: string | null;
  status: 'open' | 'closed' | 'void';
  taken_by: string;
  taken_at: string;
}

export interface AttendanceEntry {
  student_id: string;
  status: AttendanceStatus;
  minutes_late: number | null;
  remark: string | null;
  marked_by: string;
  marked_at: string;
}

export const sheetKey = (classId: string, on: string, period: number): string => `${classId}:${on}:${period}`;

const TERM_IS_LOCKED =
  'EXISTS (SELECT 1 FROM terms t WHERE t.locked_at IS NOT NULL AND incoming.on_date BETWEEN t.starts_on AND t.ends_on)';

export const attendanceEntity = defineEntity({
  name: 'attendance',
  service: 'attendance',
  kind: 'sheet',
  columns: {
    id: uuid,
    class_id: uuid,
    on_date: date,
    period_no: int,
    class_subject_id: uuid,
    status: oneOf('open', 'closed', 'void'),
    taken_by: uuid,
    taken_at: instant,
  },
  key: ['class_id', 'on_date', 'period_no'],
  derived: {
    id: ({ class_id, on_date, period_no }) => sheetId(class_id as string, on_date as string, Number(period_no)),
  },
  relations: ['class_id', 'on_date'],
  fields: {
    key: 'student_id',
    columns: {
      student_id: uuid,
      status: oneOf(...STATUSES),
      minutes_late: int,
      remark: text,
      marked_by: uuid,
      marked_at: instant,
    },
  },
  schema: Joi.object({
    id: uuidRule,
    class_id: uuidRule,
    on_date: schoolDate,
    period_no: Joi.number().integer().min(0).max(12),
    class_subject_id: uuidRule.allow(null),
    status: Joi.string().valid('open', 'closed', 'void'),
    taken_by: uuidRule,
    taken_at: isoInstant,
  }).prefs({ presence: 'required' }),
  fieldSchema: Joi.object({
    student_id: uuidRule,
    status: Joi.string().valid(...STATUSES),
    minutes_late: Joi.number().integer().min(1).max(240).allow(null),
    remark: Joi.string().max(LIMITS.attendance_entries.remark).allow(null),
    marked_by: uuidRule,
    marked_at: isoInstant,
  }).prefs({ presence: 'required' }),
  lane: 'fast',
  durability: 'buffered',
  sink: {
    kind: 'postgres',
    table: 'attendance_sheets',
    conflict: ['class_id', 'on_date', 'period_no'],
    version: 'version',
    refuse: [
      {
        code: 'SHEET_CLOSED',
        message: 'the sheet is closed or void, or its term is locked',
        when: `stored.status <> 'open' OR ${TERM_IS_LOCKED}`,
      },
    ],
    fields: {
      table: 'attendance_entries',
      conflict: ['sheet_id', 'student_id'],
      version: 'entry_version',
      headId: 'sheet_id',
      copy: { on_date: date },
    },
    events: [
      {
        name: 'attendance.stored',
        payload: { class_id: 'class_id', date: 'on_date', period: 'period_no' },
        changed: { key: 'student', column: 'status' },
      },
    ],
  },
  shape: 1,
  examples: [
    {
      fields: [
        { remark: 'came by the late bus' },
        { remark: 'parent called in the morning' },
        { remark: 'left early with a headache' },
        { remark: 'at the sports competition' },
      ],
    },
  ],
});
