import type { Actor, ScopeCode } from '../../lib/actor.ts';
import type { School } from '../school/school.ts';
import { type Reach, reachOf } from '../scope.ts';
import type { CalendarEvent } from './calendar-event.ts';
import type { StoredAudience } from './calendar-store.ts';

/** Somebody who looks at the calendar, with those it looks for. */
export interface Viewer {
  userId: string;
  roles: ReadonlySet<string>;
  reach: Pick<Reach, 'all' | 'ledClasses' | 'classes' | 'students'>;
}

/** Parts of an event that decide who sees it. */
export interface Shown {
  event: Pick<CalendarEvent, 'status' | 'is_school_closed'>;
  audiences: readonly StoredAudience[];
}

export async function viewerOf(
  actor: Pick<Actor, 'userId' | 'roles' | 'scopes'>,
  scope: readonly ScopeCode[],
  school: Pick<School, 'classSubjects' | 'today'>,
): Promise<Viewer> {
  const reach = await reachOf(actor, scope, school);
  const { studentId } = await actor.scopes();
  const roles = new Set<string>(actor.roles);
  // C7: what a student sees, so do its parents; of blocked ones nothing is in reach.
  if ([...reach.students].some((id) => id !== studentId)) roles.add('student');
  return { userId: actor.userId, roles, reach };
}

/** A student, whoever asks on its behalf; what is for it alone is known by `student_id`. */
export const studentViewer = (studentId: string, classId: string | undefined): Viewer => ({
  userId: '',
  roles: new Set(['student']),
  reach: {
    all: false,
    ledClasses: new Set(),
    classes: new Set(classId ? [classId] : []),
    students: new Set([studentId]),
  },
});

/** Events of one's own classes and of nothing else (DOMAIN §1: T, H); nobody else's day is closed by them. */
export const edits = ({ event, audiences }: Shown, { reach }: Viewer): boolean =>
  reach.all ||
  (!event.is_school_closed &&
    audiences.length > 0 &&
    audiences.every(({ kind, class_id }) => kind === 'class' && reach.ledClasses.has(class_id!)));

/** C7: any audience that matches; drafts are there for those who may change them. */
export function sees(shown: Shown, viewer: Viewer): boolean {
  if (edits(shown, viewer)) return true;
  return shown.event.status !== 'draft' && shown.audiences.some((audience) => matches(audience, viewer));
}

function matches(
  { kind, role, class_id, user_id, student_id }: StoredAudience,
  { userId, roles, reach }: Viewer,
): boolean {
  switch (kind) {
    case 'school':
      return true;
    case 'role':
      return roles.has(role!);
    case 'class':
      return reach.classes.has(class_id!);
    case 'user':
      return user_id === userId || (student_id !== undefined && reach.students.has(student_id));
  }
}
