import { describe, expect, it } from 'vitest';
import {
  oneADay,
  percentageBp,
  prefillOf,
  requireEditableDay,
  statusUnderLeave,
} from '../../../src/services/attendance/attendance-rules.ts';

describe('attendance rules', () => {
  it('AT3 leaves excused days out and counts half days half', () => {
    expect(percentageBp({ present: 15, late: 1, half_day: 2, absent: 1, excused: 1, on_duty: 0 })).toBe(8947);
    expect(percentageBp({ present: 0, late: 0, half_day: 0, absent: 0, excused: 3, on_duty: 0 })).toBeNull();
  });

  it('A7 takes of two marks of a day that of the class the student is in then, and a single one whatever its class', () => {
    const stays = [
      { classId: 'old', startsOn: '2025-04-01', endsOn: '2025-09-09' },
      { classId: 'new', startsOn: '2025-09-10', endsOn: null },
    ];
    const marks = [
      { classId: 'new', onDate: '2025-09-09' },
      { classId: 'old', onDate: '2025-09-09' },
      { classId: 'new', onDate: '2025-09-10' },
      { classId: 'old', onDate: '2025-09-10' },
      { classId: 'old', onDate: '2025-09-11' },
    ];
    expect(oneADay(marks, stays)).toEqual([marks[1], marks[2], marks[4]]);
  });

  it('AT2 prefills by the part of the leave', () => {
    expect([prefillOf('full'), prefillOf('am'), prefillOf('pm')]).toEqual(['excused', 'half_day', 'half_day']);
  });

  it('AT5 turns absent into excused for a full leave, and nothing else', () => {
    expect(statusUnderLeave('absent', 'full')).toBe('excused');
    expect(statusUnderLeave('absent', 'am')).toBe('absent');
    expect(statusUnderLeave('absent', undefined)).toBe('absent');
    expect(
      (['present', 'late', 'half_day', 'on_duty'] as const).map((status) => statusUnderLeave(status, 'full')),
    ).toEqual(['present', 'late', 'half_day', 'on_duty']);
  });

  it('AT1 counts school days, not calendar days, for the edit window', () => {
    const days = [
      { date: '2025-09-05', isOpen: true, reason: null },
      { date: '2025-09-06', isOpen: false, reason: 'Saturday' },
      { date: '2025-09-07', isOpen: false, reason: 'Sunday' },
      { date: '2025-09-08', isOpen: true, reason: null },
      { date: '2025-09-09', isOpen: true, reason: null },
    ];
    const facts = {
      on: '2025-09-05',
      today: '2025-09-09',
      days,
      editWindowDays: 2,
      isTermLocked: false,
      isAdmin: false,
    };
    expect(() => requireEditableDay(facts)).not.toThrow();
    expect(() => requireEditableDay({ ...facts, editWindowDays: 1 })).toThrow(/edit/i);
    expect(() => requireEditableDay({ ...facts, isTermLocked: true })).toThrow(/locked/i);
  });
});
