import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Writer } from '../../buffer/writer.ts';
import type { Cache } from '../../cache/cache.ts';
import { isDatabaseAway } from '../../errors/driver-errors.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { WriteReceipt } from '../../lib/write-receipt.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import { userGroup } from '../auth/sessions.ts';
import type { Files } from '../school/files.ts';
import type { School } from '../school/school.ts';
import { PREFS } from './profile.entity.ts';

type Caller = Pick<RequestContext, 'actor' | 'requestId' | 'ip' | 'now' | 'newId'>;

export interface ProfileChanges {
  phone?: string | null;
  locale?: string;
  avatar_file_id?: string | null;
  prefs?: { quiet_hours?: boolean; email_notifications?: boolean };
}

export interface MeView {
  data: Document;
  version: number;
  isPending: boolean;
}

/** Fields by name, `prefs` flat. */
interface Profile {
  fields: Document;
  version: number;
  isPending: boolean;
}

/** DOMAIN §7 `user:profile:{id}` */
const PROFILE_SECONDS = 3_600;
const STALE_SECONDS = 7 * 86_400;

/** Who the caller is and what it has set about itself, the pending changes over the stored ones. */
export class ProfileService {
  readonly #buffer: WriteBuffer;
  readonly #writer: Writer;
  readonly #cache: Cache;
  readonly #store: AuthStore;
  readonly #activity: ActivityLog;
  readonly #files: Files;
  readonly #school: Pick<School, 'today'>;

  constructor(deps: {
    buffer: WriteBuffer;
    writer: Writer;
    cache: Cache;
    store: AuthStore;
    activity: ActivityLog;
    files: Files;
    school: Pick<School, 'today'>;
  }) {
    this.#buffer = deps.buffer;
    this.#writer = deps.writer;
    this.#cache = deps.cache;
    this.#store = deps.store;
    this.#activity = deps.activity;
    this.#files = deps.files;
    this.#school = deps.school;
  }

  async me({ actor }: Pick<RequestContext, 'actor'>): Promise<MeView> {
    return this.#viewOf(actor, await this.#profile(actor.userId));
  }

  /**
   * Changes single fields; others keep theirs, whoever changes them at the same time.
   *
   * @throws FileNotReadyError, FileTypeError for an avatar that is no ready image of one's own
   */
  async update(
    caller: Caller,
    { prefs, ...changes }: ProfileChanges,
    ifMatch?: number,
  ): Promise<{ view: MeView; receipt: WriteReceipt }> {
    const { userId } = caller.actor;
    const named: Document = { ...changes, ...prefs };
    if (changes.avatar_file_id) {
      await this.#files.requireUsable(userId, 'avatar', [changes.avatar_file_id], '/avatar_file_id');
    }
    const before = await this.#profile(userId).catch((error: unknown): Profile => {
      // Fields do not depend on what was there; only a wanted version does.
      if (!isDatabaseAway(error) || ifMatch !== undefined) throw error;
      return { fields: {}, version: 0, isPending: true };
    });
    const fields = Object.entries(named).map(([name, value]): Document => ({ name, value }));
    const [receipt] = await Promise.all([
      this.#writer.putSheet('profile', userId, { user_id: userId }, fields, {
        base: before.version,
        ...(ifMatch === undefined ? {} : { ifMatch }),
      }),
      // Values are personal: the log says which fields changed.
      this.#activity.record(caller, {
        service: 'auth',
        action: 'profile.update',
        entity: { type: 'user', id: userId },
        after: { fields: Object.keys(named) },
      }),
    ]);
    const { version, isPending } = receipt;
    const view = await this.#viewOf(caller.actor, { fields: { ...before.fields, ...named }, version, isPending });
    return { view, receipt };
  }

  async #profile(userId: string): Promise<Profile> {
    const pending = await this.#buffer.getSheet('profile', userId);
    const epoch = await this.#buffer.epoch('profile');
    const { value: stored } = await this.#cache.get({
      name: `user:profile:${userId}`,
      stamp: epoch,
      group: userGroup(userId),
      ttlSeconds: PROFILE_SECONDS,
      staleSeconds: STALE_SECONDS,
      load: async () => (await this.#store.findContact(userId)) ?? null,
    });
    const fields: Document = { email: stored?.email ?? null, phone: stored?.phone ?? null, ...stored?.prefs };
    for (const [name, { document }] of pending?.fields ?? []) fields[name] = document.value;
    return {
      fields,
      version: Math.max(pending?.version ?? 0, stored?.version ?? 0),
      isPending: pending !== undefined,
    };
  }

  async #viewOf(actor: RequestContext['actor'], { fields, version, isPending }: Profile): Promise<MeView> {
    const { userId, login, name, roles } = actor;
    const scopes = await actor.scopes();
    const { substitutions = [] } = scopes;
    // A login that is kept over midnight still has yesterday's.
    const today = substitutions.length > 0 ? await this.#school.today() : '';
    return {
      version,
      isPending,
      data: {
        id: userId,
        login,
        name,
        roles,
        email: fields.email ?? null,
        phone: fields.phone ?? null,
        locale: fields.locale ?? null,
        avatar_file_id: fields.avatar_file_id ?? null,
        prefs: Object.fromEntries(PREFS.map((pref) => [pref, fields[pref] ?? null])),
        scopes: {
          academic_year: scopes.academicYear,
          staff_id: scopes.staffId,
          student_id: scopes.studentId,
          class_subjects: scopes.teaches.map(({ classSubjectId, classId, className, subjectId, subjectName }) => ({
            id: classSubjectId,
            class: { id: classId, name: className },
            subject: { id: subjectId, name: subjectName },
          })),
          homerooms: scopes.homerooms.map(({ id, name: className }) => ({ id, name: className })),
          substitutions: substitutions
            .filter(({ onDate }) => onDate >= today)
            .map(({ classId, className, onDate }) => ({ class: { id: classId, name: className }, on_date: onDate })),
          own_class: scopes.ownClass ? { id: scopes.ownClass.id, name: scopes.ownClass.name } : null,
          children: scopes.children.map(({ studentId, name: childName, class: ownClass, canPay }) => ({
            student_id: studentId,
            name: childName,
            class: ownClass,
            can_pay: canPay,
          })),
        },
      },
    };
  }
}
