import { describe, expect, it } from 'vitest';
import { latenessOf, movedLateness, requireWindow, stateOf } from '../../../src/services/homework/homework-rules.ts';

const due_at = '2025-09-12T18:00:00.000Z';
const late_until_at = '2025-09-15T18:00:00.000Z';

describe('H1 lateness', () => {
  it.each([
    ['2025-09-12T18:00:00.000Z', 0],
    ['2025-09-12T18:00:00.001Z', 1],
    ['2025-09-13T18:00:00.000Z', 1],
    ['2025-09-13T18:00:00.001Z', 2],
    ['2025-09-15T18:00:00.000Z', 3],
  ])('of %s is %i started days', (at, lateDays) => {
    expect(latenessOf({ due_at, late_until_at }, at)).toEqual({ isLate: lateDays > 0, lateDays });
  });

  it('has an end: after the late window, or at the due date where there is none', () => {
    expect(() => latenessOf({ due_at, late_until_at }, '2025-09-15T18:00:00.001Z')).toThrow(
      expect.objectContaining({ code: 'SUBMISSION_CLOSED' }),
    );
    expect(() => latenessOf({ due_at, late_until_at: null }, '2025-09-12T18:00:00.001Z')).toThrow(
      expect.objectContaining({ code: 'SUBMISSION_CLOSED' }),
    );
  });
});

describe('H6 lateness after a moved due date', () => {
  const late = { submitted_at: '2025-09-14T20:00:00.000Z', late_days: 3 };

  it.each([
    ['2025-09-12T20:00:00.000Z', 2],
    ['2025-09-13T18:00:00.000Z', 2],
    ['2025-09-14T19:59:59.999Z', 1],
    ['2025-09-14T20:00:00.000Z', 0],
    ['2025-09-20T18:00:00.000Z', 0],
  ])('to %s is %i days', (to, lateDays) => {
    expect(movedLateness(late, due_at, to)).toEqual({ isLate: lateDays > 0, lateDays });
  });

  it('falls with the date when it was kept over a later revision (H3)', () => {
    const kept = { submitted_at: '2025-09-18T10:00:00.000Z', late_days: 1 };
    expect(movedLateness(kept, due_at, '2025-09-13T18:00:00.000Z')).toEqual({ isLate: false, lateDays: 0 });
  });

  it('never rises', () => {
    expect(movedLateness(late, due_at, due_at).lateDays).toBe(3);
  });
});

describe('where a student stands', () => {
  const on = (now: string, more: { hasJoinedLater?: boolean; isExcused?: boolean } = {}) => ({
    now,
    hasJoinedLater: false,
    isExcused: false,
    ...more,
  });
  const before = on('2025-09-15T18:00:00.000Z');
  const after = on('2025-09-15T18:00:00.001Z');
  const draft = { status: 'draft', is_late: false } as const;

  it('H4 a draft is not a submission', () => {
    expect(stateOf({ due_at, late_until_at }, draft, before)).toBe('draft');
    expect(stateOf({ due_at, late_until_at }, draft, after)).toBe('missing');
  });

  it('H8 is missing after the last deadline only', () => {
    expect(stateOf({ due_at, late_until_at }, undefined, before)).toBe('open');
    expect(stateOf({ due_at, late_until_at }, undefined, after)).toBe('missing');
    expect(stateOf({ due_at, late_until_at: null }, undefined, before)).toBe('missing');
  });

  it('H7 does not count who joined after the due date, unless they handed in', () => {
    const joined = on(after.now, { hasJoinedLater: true });
    expect(stateOf({ due_at, late_until_at }, undefined, joined)).toBe('not_counted');
    expect(stateOf({ due_at, late_until_at }, { status: 'submitted', is_late: true }, joined)).toBe('late');
  });

  it('H8 counts excused nowhere', () => {
    expect(stateOf({ due_at, late_until_at }, undefined, on(after.now, { isExcused: true }))).toBe('excused');
  });
});

it('a homework is published before it is due, and takes late work after that', () => {
  const publish_at = '2025-09-10T08:00:00.000Z';
  expect(() => requireWindow({ publish_at, due_at, late_until_at: null })).not.toThrow();
  expect(() => requireWindow({ publish_at, due_at, late_until_at: due_at })).not.toThrow();
  const broken = (pointer: string) =>
    expect.objectContaining({ code: 'BAD_WINDOW', errors: [expect.objectContaining({ pointer })] });
  expect(() => requireWindow({ publish_at: due_at, due_at, late_until_at: null })).toThrow(broken('/due_at'));
  expect(() => requireWindow({ publish_at, due_at, late_until_at: '2025-09-12T17:59:59.999Z' })).toThrow(
    broken('/late_until_at'),
  );
});
