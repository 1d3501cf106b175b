import { describe, expect, it } from 'vitest';
import type { ScopeCode, Scopes } from '../../../src/lib/actor.ts';
import { EVERYTHING, NAMED_ROWS, NOTHING, type ReachSource, reaches, withParent } from '../../../src/lib/reach.ts';
import { createRowScopes } from '../../../src/services/auth/row-scopes.ts';
import type { ClassSubject } from '../../../src/services/school/school.ts';

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
  classOf: async (studentId: string) => (studentId === 'child' ? 'c3' : undefined),
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
const actorWith = (own: Scopes) => ({ userId: 'user', scopes: async () => own });
const reachIn = (...codes: ScopeCode[]) => createRowScopes({ school, sources: [] }).reachOf(actorWith(scopes), codes);
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
      createRowScopes({ school, sources: [] }).reachOf(actorWith(covering(onDate)), codes);
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
      children: ['child', 'former'],
      students: ['child', 'former'],
      ownStudents: [],
      users: [],
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
    expect(reaches(reach, 'homerooms', 'c1')).toBe(false);
  });

  it('O reaches the caller: its user id, and as a student itself and its class', async () => {
    const student: Scopes = { ...scopes, studentId: 'me', ownClass: { id: 'c1', name: '', rollNo: 1 } };
    const reach = await createRowScopes({ school, sources: [] }).reachOf(actorWith(student), ['O']);
    expect([...reach.users]).toEqual(['user']);
    expect([...reach.ownStudents]).toEqual(['me']);
    expect([...reach.students]).toEqual(['me']);
    expect([...reach.children]).toEqual([]);
    expect([...reach.classSubjects].sort()).toEqual(['cs1', 'cs2']);
  });

  it('A reaches everything and no scope nothing, without a look at whom it is given to', async () => {
    const nobody = {
      userId: 'user',
      scopes: async (): Promise<Scopes> => {
        throw new Error('asked');
      },
    };
    const reach = await createRowScopes({ school, sources: [] }).reachOf(nobody, ['A', 'C']);
    expect(reach).toBe(EVERYTHING);
    expect(await createRowScopes({ school, sources: [] }).reachOf(nobody, [])).toBe(NOTHING);
    expect(reaches(reach, 'students', 'anybody')).toBe(true);
  });

  it('R reaches nothing until a service says what', async () => {
    const { all, parents, ...rows } = await reachIn('R');
    expect(all).toBe(false);
    for (const ids of [parents, ...Object.values(rows)]) expect(ids.size).toBe(0);
    expect(NAMED_ROWS).toContain('routes');
  });

  it('a source adds its rows to the scope that it is for, and to no other', async () => {
    const riders: ReachSource = {
      scope: 'R',
      load: async ({ userId }) => ({ routes: [`route of ${userId}`], students: ['rider'] }),
    };
    const { reachOf } = createRowScopes({ school, sources: [riders] });
    const driver = await reachOf(actorWith(scopes), ['R']);
    expect([...driver.routes]).toEqual(['route of user']);
    expect([...driver.students]).toEqual(['rider']);
    const both = await reachOf(actorWith(scopes), ['C', 'R']);
    expect([...both.students].sort()).toEqual(['child', 'former', 'rider']);
    expect((await reachOf(actorWith(scopes), ['C'])).routes.size).toBe(0);
  });

  it('tells the class that a student is in today', async () => {
    const { classOf } = createRowScopes({ school, sources: [] });
    expect(await classOf('child')).toBe('c3');
    expect(await classOf('former')).toBeUndefined();
  });

  it('what belongs to a row that was read in reach is reached by that row alone', async () => {
    const reach = await reachIn('T');
    const wider = withParent(reach, 'h1');
    expect(reaches(wider, 'parents', 'h1')).toBe(true);
    expect(reaches(wider, 'parents', 'h2')).toBe(false);
    expect(reaches(reach, 'parents', 'h1')).toBe(false);
    expect(withParent(EVERYTHING, 'h1')).toBe(EVERYTHING);
  });
});
