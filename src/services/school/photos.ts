import { reaches } from '../../lib/reach.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { School } from './school.ts';
import type { StudentStore } from './student-store.ts';

/**
 * Who may have a picture: that of a student, whoever reaches the student; any other stands beside a name that everybody here
 * sees.
 */
export const createPhotoReader =
  ({ store, school }: { store: Pick<StudentStore, 'listByPhoto'>; school: Pick<School, 'today'> }) =>
  async (viewer: Pick<RequestContext, 'under'>, fileId: string): Promise<boolean> => {
    const shown = await store.listByPhoto(fileId, await school.today());
    if (shown.length === 0) return true;
    const reach = await viewer.under('students', 'r').reach();
    return shown.some(
      ({ id, classId }) =>
        reaches(reach, 'students', id) || (classId !== null && reaches(reach, 'ledClasses', classId)),
    );
  };
