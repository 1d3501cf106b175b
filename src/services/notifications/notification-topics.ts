import { schoolDateOf, schoolTimeOf } from '../../lib/clock.ts';
import type { SheetService } from '../attendance/sheet-service.ts';
import type { Homework } from '../homework/homework.entity.ts';
import type { HomeworkService } from '../homework/homework-service.ts';
import type { SubmissionService } from '../homework/submission-service.ts';
import type { School } from '../school/school.ts';
import { notificationId } from './notification.entity.ts';
import type { Composed, Topic } from './notification-service.ts';
import type { NotificationStore } from './notification-store.ts';
import { shortened } from './shortened.ts';

export const HOMEWORK_PUBLISHED = 'homework.published';
export const HOMEWORK_DUE = 'homework.due';
export const ABSENCE = 'attendance.absence';
export const ABSENCE_CORRECTED = 'attendance.absence.corrected';

export interface TopicDeps {
  school: School;
  homework: HomeworkService;
  submissions: SubmissionService;
  sheets: SheetService;
  store: NotificationStore;
}

/** The first kinds of notification; other services add theirs. */
export function createTopics({ school, homework, submissions, sheets, store }: TopicDeps): Topic[] {
  /** A homework that the class sees now, with what its students are told. */
  const visible = async (
    id: string,
    now: Date,
  ): Promise<{ given: Homework; classId: string; due: string } | undefined> => {
    const given = await homework.find(id);
    if (given?.status !== 'published' || given.publish_at > now.toISOString()) return undefined;
    const taught = (await school.classSubjects()).find((subject) => subject.id === given.class_subject_id);
    if (!taught) return undefined;
    const timezone = await school.timezone();
    const dueAt = new Date(given.due_at);
    const due = `${taught.subjectName}, due on ${schoolDateOf(dueAt, timezone)} at ${schoolTimeOf(dueAt, timezone)}.`;
    return { given, classId: taught.classId, due };
  };
  const usersOfClass = async (classId: string, now: Date, without?: ReadonlySet<string>): Promise<string[]> => {
    const roster = await school.roster(classId, await school.dateAt(now));
    return school.usersOfStudents(roster.map(({ studentId }) => studentId).filter((id) => !without?.has(id)));
  };
  const toClass = async (
    id: string,
    now: Date,
    title: (homeworkTitle: string) => string,
    without?: ReadonlySet<string>,
  ): Promise<Composed | undefined> => {
    const found = await visible(id, now);
    if (!found) return undefined;
    return {
      userIds: await usersOfClass(found.classId, now, without),
      entity: id,
      ...shortened({ title: title(found.given.title), body: found.due }),
      data: { homework_id: id },
    };
  };
  return [
    {
      name: HOMEWORK_PUBLISHED,
      severity: 'info',
      compose: ({ homework_id }, now) => toClass(homework_id!, now, (title) => `New homework: ${title}`),
    },
    {
      name: HOMEWORK_DUE,
      severity: 'info',
      async compose({ homework_id, due_at }, now) {
        // A date that has moved has a reminder of its own.
        if ((await homework.find(homework_id!))?.due_at !== due_at) return undefined;
        return toClass(homework_id!, now, (title) => `Due soon: ${title}`, await submissions.handedIn(homework_id!));
      },
    },
    {
      name: ABSENCE,
      severity: 'warn',
      async compose({ class_id, date, student_id }) {
        // AT6: corrected before its time, nobody hears of it.
        if ((await sheets.statusOf(class_id!, date!, student_id!)) !== 'absent') return undefined;
        const { name, userIds } = await school.family(student_id!);
        return {
          userIds,
          entity: student_id!,
          day: date!,
          ...shortened({
            title: `${name} is absent`,
            body: `Marked absent on ${date}. Please tell the school if you know of it.`,
          }),
          data: { student_id: student_id!, class_id: class_id!, date: date! },
        };
      },
    },
    {
      name: ABSENCE_CORRECTED,
      severity: 'warn',
      async compose({ class_id, date, student_id }) {
        const status = await sheets.statusOf(class_id!, date!, student_id!);
        if (status === 'absent' || status === undefined) return undefined;
        const { name, userIds } = await school.family(student_id!);
        const told: string[] = [];
        // AT6: only those who heard of the absence hear of its correction.
        for (const userId of userIds) {
          const notice = notificationId(userId, `${ABSENCE}:${student_id}:${date}`);
          if ((await store.existing(userId, [notice])).length > 0) told.push(userId);
        }
        return {
          userIds: told,
          entity: student_id!,
          day: date!,
          ...shortened({
            title: `${name} is not absent`,
            body: `The roll of ${date} was corrected: ${status.replaceAll('_', ' ')}.`,
          }),
          data: { student_id: student_id!, class_id: class_id!, date: date! },
        };
      },
    },
  ];
}
