import type { DemoClient } from './client.ts';

/** What was acknowledged last of each thing: the rows must say the same once all is stored. */
export interface Expected {
  homework: Map<string, { title: string; version: number; isDeleted: boolean }>;
  /** By class and student. */
  attendance: Map<string, { classId: string; studentId: string; status: string }>;
  submissions: Map<string, { homeworkId: string; studentId: string; body: string }>;
  writes: number;
}

interface ClassRow {
  id: string;
  name: string;
}

interface Resource {
  id: string;
  title: string;
  version: number;
}

export interface MorningOptions {
  admin: DemoClient;
  students: { client: DemoClient; studentId: string; classId: string }[];
  /** First class-subject of each class. */
  subjectOf: Map<string, string>;
  classes: ClassRow[];
  /** School date of the rolls. */
  on: string;
  progress: (done: number, all: number, what: string) => void;
}

const CORRECTED_CLASSES = 20;
const EDITED = 10;
const DELETED = 5;

const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();

/** 60 rolls, homework to 60 classes, hand-ins, corrections, edits and deletes, as a school has them before nine. */
export async function playMorning({
  admin,
  students,
  subjectOf,
  classes,
  on,
  progress,
}: MorningOptions): Promise<Expected> {
  const expected: Expected = { homework: new Map(), attendance: new Map(), submissions: new Map(), writes: 0 };
  const all = classes.length * 2 + CORRECTED_CLASSES + EDITED + DELETED + students.length;
  let done = 0;
  const step = (what: string): void => {
    expected.writes++;
    progress(++done, all, what);
  };
  const mark = async (classId: string, entries: { student_id: string; status: string }[], rest?: string) => {
    const sheet = await admin.call<{ entries: { student_id: string; status: string }[] }>(
      'PUT',
      `/attendance/classes/${classId}/sheets/${on}`,
      { entries, ...(rest ? { rest } : {}) },
    );
    for (const { student_id: studentId, status } of sheet.entries)
      expected.attendance.set(`${classId} ${studentId}`, { classId, studentId, status });
  };

  for (const { id } of classes) {
    const roster = await admin.call<{ student_id: string }[]>('GET', `/classes/${id}/students?on=${on}`);
    await mark(id, [{ student_id: roster[0]!.student_id, status: 'absent' }], 'present');
    step('rolls');
  }
  const given: { homework: Resource; classId: string }[] = [];
  for (const { id, name } of classes) {
    const homework = await admin.call<Resource>('POST', '/homework', {
      class_subject_ids: [subjectOf.get(id)!],
      title: `Morning homework of ${name}`,
      description: 'Read the chapter and answer the questions in your notebook.',
      due_at: inDays(3),
    });
    expected.homework.set(homework.id, { title: homework.title, version: homework.version, isDeleted: false });
    given.push({ homework, classId: id });
    step('homework');
  }
  for (const { client, studentId, classId } of students) {
    const own = given.find((item) => item.classId === classId);
    if (!own) continue;
    const body = `My answers, handed in by ${studentId}.`;
    await client.call('PUT', `/homework/${own.homework.id}/submission`, { body, final: true });
    expected.submissions.set(`${own.homework.id} ${studentId}`, { homeworkId: own.homework.id, studentId, body });
    step('hand-ins');
  }
  for (const { id } of classes.slice(0, CORRECTED_CLASSES)) {
    const { studentId } = [...expected.attendance.values()].find((entry) => entry.classId === id)!;
    await mark(id, [{ student_id: studentId, status: 'late' }]);
    step('corrections');
  }
  for (const { homework } of given.slice(-EDITED)) {
    const edited = await admin.call<Resource>('PATCH', `/homework/${homework.id}`, {
      title: `${homework.title}, corrected`,
    });
    expected.homework.set(homework.id, { title: edited.title, version: edited.version, isDeleted: false });
    step('edits');
  }
  const handedIn = new Set([...expected.submissions.values()].map(({ homeworkId }) => homeworkId));
  for (const { homework } of given.filter((item) => !handedIn.has(item.homework.id)).slice(0, DELETED)) {
    await admin.call('DELETE', `/homework/${homework.id}`);
    expected.homework.get(homework.id)!.isDeleted = true;
    step('deletes');
  }
  return expected;
}
