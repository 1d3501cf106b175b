import type { Call } from '../../support/harness.ts';
import { TODAY } from '../../support/template.ts';

/** An event for a class and nobody else. */
export const eventBody = (classId: string) => ({
  title: 'Permissions',
  start_local: `${TODAY}T16:00`,
  duration_min: 60,
  audiences: [{ kind: 'class', class_id: classId }],
});

export const announcementBody = (classId: string) => ({
  title: 'Permissions',
  body: 'Who may read this?',
  audience: 'class',
  class_id: classId,
});

export async function makeAnnouncement(author: Call, classId: string): Promise<string> {
  const { status, body } = await author('POST', '/announcements', { body: announcementBody(classId) });
  if (status !== 201) throw new Error(`announcement for ${classId}: ${JSON.stringify(body)}`);
  return body.data.id;
}

export async function makeEvent(admin: Call, classId: string): Promise<string> {
  const { status, body } = await admin('POST', '/events', { body: eventBody(classId) });
  if (status !== 201) throw new Error(`event for ${classId}: ${JSON.stringify(body)}`);
  return body.data.event.id;
}
