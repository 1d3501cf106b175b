import Joi from 'joi';
import { defineEntity, instant, json, text, uuid } from '../../lib/entity.ts';

/** One line a change: who did what to what, and for grades, money and attendance what it was before and after. */
export const activityLogEntity = defineEntity({
  name: 'activity_log',
  service: 'report',
  kind: 'document',
  columns: {
    id: uuid,
    at: instant,
    actor: json,
    service: text,
    action: text,
    entity: json,
    request_id: text,
    ip: text,
    outcome: text,
    before: json,
    after: json,
    expire_at: instant,
  },
  key: ['id'],
  schema: Joi.object().unknown(),
  lane: 'bulk',
  durability: 'buffered',
  bundled: true,
  sink: { kind: 'mongo', collection: 'activity_logs' },
  shape: 1,
  warmSeconds: 0,
  examples: [
    {
      actor: { user_id: '', roles: ['teacher'] },
      service: 'homework',
      action: 'homework.create',
      entity: { type: 'homework', id: '' },
      ip: '127.0.0.1',
      outcome: 'ok',
      before: { student_id: '', status: 'present' },
      after: { student_id: '', status: 'absent', minutes_late: null, remark: null },
    },
    {
      actor: { user_id: '', roles: ['student'] },
      service: 'attendance',
      action: 'attendance.save',
      entity: { type: 'attendance', id: '' },
    },
    {
      actor: { user_id: '', roles: ['admin'] },
      service: 'homework',
      action: 'homework.update',
      entity: { type: 'homework_submission', id: '' },
    },
  ],
});
