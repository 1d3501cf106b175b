import { describe, expect, it } from 'vitest';
import type { ScopeCode, Scopes } from '../../../src/lib/actor.ts';
import type { ClassSubject } from '../../../src/services/school/school.ts';
import { reaches, reachOf, requireReach } from '../../../src/services/scope.ts';

const classSubject = (id: string, classId: string): ClassSubject => ({
  id,
  classId,
  className: classId,
  subjectId: 's',
  subjectName: 's',
  staffId: 'x',
});
const school = {
  today: async () => '2025-09-10',
  classSubjects: async () => [
    classSubject('cs1', 'c1'),
    classSubject('cs2', 'c1'),
    classSubject('cs3', 'c2'),
    classSubject('cs4', 'c3'),
  ],
};

/** Teaches one subject in c1, leads c2, has a child in c3 and one who has left. */
const scopes: Scopes = {
  academicYear: null,
  staffId: 'staff',
  studentId: null,
  guardianId: 'guardian',
  teaches: [{ classSubjectId: 'cs1', classId: 'c1', className: '', subjectId: 's', subjectCode: '', subjectName: '' }],
  homerooms: [{ id: 'c2', name: '' }],
  ownClass: null,
  children: [
    { studentId: 'child', name: '', class: { id: 'c3', name: '' }, canPay: false },
    { studentId: 'former', name: '', class: null, canPay: false },
  ],
};
const reachIn = (...codes: ScopeCode[]) => reachOf({ scopes: async () => scopes }, codes, school);
const members = async (...codes: ScopeCode[]) => {
  const { all: _, ...sets } = await reachIn(...codes);
  return Object.fromEntries(Object.entries(sets).map(([name, ids]) => [name, [...ids].sort()]));
};

describe('row scopes', () => {
  it('T reaches the class-subjects taught, not the others of their classes', async () => {
    expect(await members('T')).toMatchObject({
      taught: ['cs1'],
      classSubjects: ['cs1'],
      taughtClasses: ['c1'],
      homerooms: [],
      students: [],
    });
  });

  it('H reaches the whole homeroom', async () => {
    expect(await members('H')).toMatchObject({
      taught: [],
      homerooms: ['c2'],
      ledClasses: ['c2'],
      classSubjects: ['cs3'],
    });
  });

  it('a substitute holds T and H of a class on its date only', async () => {
    const covering = (onDate: string): Scopes => ({
      ...scopes,
      substitutions: [{ classId: 'c3', className: '', onDate }],
    });
    const reachOn = (onDate: string, ...codes: ScopeCode[]) =>
      reachOf({ scopes: async () => covering(onDate) }, codes, school);
    const today = await reachOn('2025-09-10', 'T', 'H');
    expect([...today.taught].sort()).toEqual(['cs1', 'cs4']);
    expect([...today.homerooms].sort()).toEqual(['c2', 'c3']);
    expect(reaches(today, 'ledClasses', 'c3')).toBe(true);
    for (const day of ['2025-09-09', '2025-09-11']) {
      const other = await reachOn(day, 'T', 'H');
      expect(reaches(other, 'classes', 'c3')).toBe(false);
      expect(reaches(other, 'taught', 'cs4')).toBe(false);
    }
    expect(reaches(await reachOn('2025-09-10', 'C'), 'ledClasses', 'c3')).toBe(false);
  });

  it('C reaches the children, and of their class only what concerns them', async () => {
    expect(await members('C')).toMatchObject({
      students: ['child', 'former'],
      followedClasses: ['c3'],
      classSubjects: ['cs4'],
      ledClasses: [],
      taught: [],
    });
  });

  it('a teacher who is a parent leads the one class and follows the other', async () => {
    const reach = await reachIn('T', 'H', 'C');
    expect(reaches(reach, 'classes', 'c3')).toBe(true);
    expect(reaches(reach, 'ledClasses', 'c3')).toBe(false);
    expect(reaches(reach, 'taught', 'cs4')).toBe(false);
    expect(() => requireReach(reach, 'homerooms', 'c1')).toThrow(expect.objectContaining({ status: 404 }));
  });

  it('A reaches everything', async () => {
    const reach = await reachIn('A', 'C');
    expect(() => requireReach(reach, 'students', 'anybody')).not.toThrow();
  });
});
