import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { Cache } from '../../cache/cache.ts';
import type { Document } from '../../lib/entity.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { Profile } from './profile.entity.ts';

type Caller = Pick<RequestContext, 'actor' | 'requestId' | 'ip' | 'now' | 'newId'>;

/** DOMAIN §7 `user:profile:{id}` */
const PROFILE_SECONDS = 3_600;
const STALE_SECONDS = 7 * 86_400;

/** Who the caller is and what it has set about itself, the pending changes over the stored ones. */
export class ProfileService {
  readonly #buffer: WriteBuffer;
  readonly #cache: Cache;
  readonly #store: AuthStore;
  readonly #activity: ActivityLog;

  constructor(deps: { buffer: WriteBuffer; cache: Cache; store: AuthStore; activity: ActivityLog }) {
    this.#buffer = deps.buffer;
    this.#cache = deps.cache;
    this.#store = deps.store;
    this.#activity = deps.activity;
  }

  async me({ actor }: Pick<RequestContext, 'actor'>) {
    const [{ profile, version, isPending }, scopes] = await Promise.all([this.#profile(actor.userId), actor.scopes()]);
    return {
      version,
      isPending,
      data: {
        id: actor.userId,
        login: actor.login,
        name: actor.name,
        roles: actor.roles,
        ...profile,
        scopes: {
          academic_year: scopes.academicYear,
          staff_id: scopes.staffId,
          student_id: scopes.studentId,
          class_subjects: scopes.teaches.map(({ classSubjectId, classId, className, subjectId, subjectName }) => ({
            id: classSubjectId,
            class: { id: classId, name: className },
            subject: { id: subjectId, name: subjectName },
          })),
          homerooms: scopes.homerooms,
          own_class: scopes.ownClass ? { id: scopes.ownClass.id, name: scopes.ownClass.name } : null,
          children: scopes.children.map(({ studentId, name, class: ownClass, canPay }) => ({
            student_id: studentId,
            name,
            class: ownClass,
            can_pay: canPay,
          })),
        },
      },
    };
  }

  /** Changes single fields; others keep theirs, whoever changes them at the same time. */
  async update(caller: Caller, changes: Profile, ifMatch?: number): Promise<number> {
    const { userId } = caller.actor;
    const { version: base } = await this.#profile(userId);
    const fields = Object.entries(changes).map(([name, value]): Document => ({ name, value }));
    const [receipt] = await Promise.all([
      this.#buffer.putSheet('profile', userId, { user_id: userId }, fields, {
        base,
        ...(ifMatch === undefined ? {} : { ifMatch }),
      }),
      // Values are personal: the log says which fields changed.
      this.#activity.record(caller, {
        service: 'auth',
        action: 'profile.update',
        entity: { type: 'user', id: userId },
        after: { fields: Object.keys(changes) },
      }),
    ]);
    return receipt.version;
  }

  async #profile(userId: string): Promise<{ profile: Document; version: number; isPending: boolean }> {
    const pending = await this.#buffer.getSheet('profile', userId);
    const epoch = await this.#buffer.epoch('profile');
    const { value: stored } = await this.#cache.get({
      name: `user:profile:${userId}:${epoch}`,
      ttlSeconds: PROFILE_SECONDS,
      staleSeconds: STALE_SECONDS,
      load: async () => (await this.#store.findContact(userId)) ?? null,
    });
    const profile: Document = {
      email: stored?.email ?? null,
      phone: stored?.phone ?? null,
      locale: null,
      avatar_file_id: null,
      ...stored?.prefs,
    };
    for (const [name, { document }] of pending?.fields ?? []) profile[name] = document.value;
    return {
      profile,
      version: Math.max(pending?.version ?? 0, stored?.version ?? 0),
      isPending: pending !== undefined,
    };
  }
}
