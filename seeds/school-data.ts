import { createAnnouncements } from './announcements.ts';
import { createAttendance } from './attendance.ts';
import { createCalendar } from './calendar.ts';
import { createStructure } from './classes.ts';
import { createHomework } from './homework.ts';
import { createPeople } from './people.ts';
import { createPoints } from './points.ts';
import type { Row } from './rows.ts';
import { SCALES, type Scale } from './scale.ts';
import { schoolRows } from './school.ts';
import { createSchoolYear, termRows, yearRows } from './school-year.ts';
import { createTimetable } from './timetable.ts';

export interface SchoolDataOptions {
  scale: Scale;
  /** School date around which the data lies. */
  today: string;
  passwordHash: string;
}

/** All demo rows, tables in the order of their foreign keys. The same options give the same rows. */
export function createSchoolData({ scale, today, passwordHash }: SchoolDataOptions): [table: string, rows: Row[]][] {
  const sizes = SCALES[scale];
  const year = createSchoolYear(today);
  const people = createPeople(sizes, year, passwordHash);
  const structure = createStructure(sizes, year, people);
  const homework = createHomework(structure, year);
  const attendance = createAttendance(structure, year);
  const calendar = createCalendar(structure, year, people);
  return [
    ['schools', schoolRows(year, { scale, today })],
    ['academic_years', yearRows(year)],
    ['terms', termRows(year)],
    ['school_days', calendar.school_days],
    ['users', people.rows.users],
    ['user_roles', people.rows.user_roles],
    ['staff', people.rows.staff],
    ['students', structure.rows.students],
    ['guardians', people.rows.guardians],
    ['student_guardians', people.links],
    ['classes', structure.rows.classes],
    ['subjects', structure.rows.subjects],
    ['class_subjects', structure.rows.class_subjects],
    ['timetable_slots', createTimetable(structure)],
    ['enrollments', structure.rows.enrollments],
    ['events', calendar.events],
    ['event_audiences', calendar.event_audiences],
    ['files', homework.files],
    ['homework', homework.homework],
    ['homework_files', homework.homework_files],
    ['homework_submissions', homework.homework_submissions],
    ['homework_submission_files', homework.homework_submission_files],
    ['homework_grades', homework.homework_grades],
    ['attendance_sheets', attendance.attendance_sheets],
    ['attendance_entries', attendance.attendance_entries],
    ['leave_requests', attendance.leave_requests],
    ['point_entries', createPoints(attendance, homework, year)],
    ['announcements', createAnnouncements(structure, people, year)],
  ];
}
