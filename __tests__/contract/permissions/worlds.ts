import type { Role } from '../../../src/lib/actor.ts';
import { namedId } from '../../../src/lib/ids.ts';
import type { SchoolHarness } from '../../support/harness.ts';
import { makeAnnouncement, makeEvent, makeHomework } from './rows.ts';

/** Rows that belong together: a class, what is taught in it, one of its students, a homework and what the student hands in. */
export interface World {
  classId: string;
  classSubjectId: string;
  studentId: string;
  studentUserId: string;
  homeworkId: string;
  /** Of the class alone. */
  eventId: string;
  /** To the class, by its teacher; among the others' rows by an admin. */
  announcementId: string;
  /** The same in all worlds. */
  termId: string;
}

/** A login of each role; those with rows of their own have them in the world called `own`. */
export const LOGINS: Readonly<Record<Role, string>> = {
  admin: 'admin',
  principal: 'principal01',
  teacher: 'teacher001',
  student: 'student0001',
  parent: 'parent0001',
  accountant: 'accountant01',
  storekeeper: 'storekeeper01',
  driver: 'driver01',
};

/** Seeded: a guardian of student0003 who may not see the child. */
export const BLOCKED_LOGIN = 'parent0085';
const BLOCKED_STUDENT = 'student0003';
const STRANGER = 'stranger';

/** A homework of a class-subject that a student has handed in. */
async function addHomework(
  school: SchoolHarness,
  by: { teacher: string; student: string },
  classSubjectId: string,
): Promise<string> {
  const id = await makeHomework(school.as(by.teacher), classSubjectId);
  const { status, body } = await school.as(by.student)('PUT', `/homework/${id}/submission`, {
    body: { body: 'An answer', final: true },
  });
  if (status !== 202) throw new Error(`homework of ${by.student}: ${JSON.stringify(body)}`);
  return id;
}

/**
 * `own`: rows that teacher001, student0001 and parent0001 reach; `others`: a class that none of them has to do with;
 * `blocked`: rows of a child whose guardian is blocked.
 */
export async function createWorlds(school: SchoolHarness): Promise<Record<'own' | 'others' | 'blocked', World>> {
  // First: the school's reference data is cached as soon as somebody asks for it.
  const strange = await addStrangeClass(school);
  const [taught] = await school.rows(
    `SELECT cs.id, c.id AS class_id, t.id AS term_id FROM class_subjects cs JOIN classes c ON c.id = cs.class_id
     JOIN staff s ON s.id = cs.staff_id JOIN users u ON u.id = s.user_id
     JOIN terms t ON t.academic_year_id = c.academic_year_id AND t.seq = 1
     WHERE u.login = $1 AND c.homeroom_staff_id = s.id`,
    [LOGINS.teacher],
  );
  const classSubjectId = String(taught!.id);
  const addEvent = (classId: string) => makeEvent(school.as(LOGINS.admin), classId);
  const own: World = {
    classId: String(taught!.class_id),
    classSubjectId,
    termId: String(taught!.term_id),
    studentId: namedId(`student:${LOGINS.student}`),
    studentUserId: namedId(`user:${LOGINS.student}`),
    homeworkId: await addHomework(school, { teacher: LOGINS.teacher, student: LOGINS.student }, classSubjectId),
    eventId: await addEvent(String(taught!.class_id)),
    announcementId: await makeAnnouncement(school.as(LOGINS.teacher), String(taught!.class_id)),
  };
  const others: World = {
    ...strange,
    termId: own.termId,
    homeworkId: await addHomework(school, { teacher: LOGINS.admin, student: STRANGER }, strange.classSubjectId),
    eventId: await addEvent(strange.classId),
    announcementId: await makeAnnouncement(school.as(LOGINS.admin), strange.classId),
  };
  const blocked: World = {
    ...own,
    studentId: namedId(`student:${BLOCKED_STUDENT}`),
    studentUserId: namedId(`user:${BLOCKED_STUDENT}`),
  };
  return { own, others, blocked };
}

/**
 * A student of the own class leaves it yesterday, whose guardian has no other child there.
 *
 * @returns the guardian's login, and the class' rows with that student
 */
export async function leaveSchool(school: SchoolHarness, own: World): Promise<{ login: string; world: World }> {
  const [family] = await school.rows(
    `SELECT u.login, s.id, s.user_id FROM enrollments e JOIN students s ON s.id = e.student_id
     JOIN student_guardians l ON l.student_id = s.id AND l.can_view AND NOT l.is_blocked
     JOIN guardians g ON g.id = l.guardian_id JOIN users u ON u.id = g.user_id
     WHERE e.class_id = $1 AND e.ends_on IS NULL AND s.id <> $2
       AND (SELECT count(*) FROM student_guardians x WHERE x.guardian_id = g.id) = 1
     ORDER BY u.login LIMIT 1`,
    [own.classId, own.studentId],
  );
  const { status } = await school.as(LOGINS.admin)('POST', `/students/${family!.id}/leave`, {
    body: { left_on: '2025-09-09', reason: 'Moved away' },
  });
  if (status !== 200) throw new Error(`leaving: ${status}`);
  const world = { ...own, studentId: String(family!.id), studentUserId: String(family!.user_id) };
  return { login: String(family!.login), world };
}

/** A class of its own year and grade, led and taught by somebody else, with one student whose family nobody is. */
async function addStrangeClass(
  school: SchoolHarness,
): Promise<Omit<World, 'homeworkId' | 'eventId' | 'announcementId' | 'termId'>> {
  const world = {
    classId: namedId('class:strange'),
    classSubjectId: namedId('class-subject:strange'),
    studentId: namedId('student:strange'),
    studentUserId: namedId('user:strange'),
  };
  await school.rows(
    `INSERT INTO users (id, login, password_hash, status, is_password_temporary, failed_logins, token_epoch, prefs)
     SELECT $1, $2, password_hash, 'active', false, 0, 0, '{}' FROM users WHERE login = $3`,
    [world.studentUserId, STRANGER, LOGINS.student],
  );
  await school.rows(
    `INSERT INTO user_roles (user_id, role, granted_by, granted_at)
     SELECT $1, 'student', id, now() FROM users WHERE login = 'admin'`,
    [world.studentUserId],
  );
  await school.rows(
    `INSERT INTO students (id, user_id, admission_no, full_name, birth_on, admitted_on, status)
     VALUES ($1, $2, 'STRANGE-1', 'A Stranger', '2012-01-01', '2020-04-01', 'active')`,
    [world.studentId, world.studentUserId],
  );
  await school.rows(
    `INSERT INTO classes (id, academic_year_id, grade, section, name, capacity, homeroom_staff_id)
     SELECT $1, y.id, 12, 'Z', '12 Z', 40, s.id FROM academic_years y, staff s JOIN users u ON u.id = s.user_id
     WHERE y.is_current AND u.login = 'teacher008'`,
    [world.classId],
  );
  await school.rows(
    `INSERT INTO class_subjects (id, class_id, subject_id, staff_id, weights)
     SELECT $1, $2, cs.subject_id, cs.staff_id, cs.weights FROM class_subjects cs
     JOIN staff s ON s.id = cs.staff_id JOIN users u ON u.id = s.user_id WHERE u.login = 'teacher008' LIMIT 1`,
    [world.classSubjectId, world.classId],
  );
  await school.rows(
    `INSERT INTO enrollments (id, student_id, class_id, roll_no, starts_on) VALUES ($1, $2, $3, 1, '2025-04-01')`,
    [namedId('enrollment:strange'), world.studentId, world.classId],
  );
  return world;
}
