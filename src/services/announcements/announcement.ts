import Joi from 'joi';
import { UnprocessableError } from '../../errors/catalogue.ts';
import { ROLES, type Role } from '../../lib/actor.ts';
import { isoInstant, line, nullable, uuid } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

export const AUDIENCES = ['school', 'class', 'role'] as const;
export const STATES = ['current', 'scheduled', 'expired'] as const;
export type State = (typeof STATES)[number];

/** Whom an announcement is for: everybody, a class with its families and teachers, or those with a role. */
export interface Audience {
  audience: (typeof AUDIENCES)[number];
  /** Of the audience `class` alone. */
  class_id: string | null;
  /** Of the audience `role` alone. */
  role: Role | null;
}

/** What its author says; instants are ISO 8601. */
export interface AnnouncementInput extends Audience {
  title: string;
  body: string;
  publish_at: string;
  expires_at: string | null;
  is_pinned: boolean;
}

/** A stored announcement. */
export interface Announcement extends AnnouncementInput {
  id: string;
  author_id: string;
  /** Full name of the author; the login where there is none. */
  author_name: string;
  /** When its audience was told; null until then. */
  announced_at: string | null;
  created_at: string;
  updated_at: string;
  version: number;
}

/** Fields of an announcement; which of them must be there is the route's to say. */
export const announcementFields = {
  title: line(LIMITS.announcements.title),
  body: Joi.string().trim().min(1).max(LIMITS.announcements.body),
  audience: Joi.string().valid(...AUDIENCES),
  class_id: nullable(uuid),
  role: nullable(Joi.string().valid(...ROLES)),
  publish_at: isoInstant,
  expires_at: nullable(isoInstant),
  is_pinned: Joi.boolean(),
};

/** Where it is in its life at an instant; what it is found by in lists says the same in SQL. */
export function stateAt(
  { publish_at, expires_at }: Pick<AnnouncementInput, 'publish_at' | 'expires_at'>,
  now: Date,
): State {
  const at = now.toISOString();
  if (expires_at !== null && expires_at <= at) return 'expired';
  return publish_at > at ? 'scheduled' : 'current';
}

/** Fields that nobody may change once the audience was told: what was said to somebody stays said to them. */
const SETTLED = ['audience', 'class_id', 'role', 'publish_at'] as const;

/** The fields of a change that come too late. */
export const settledChanges = (old: AnnouncementInput, changed: AnnouncementInput): readonly string[] =>
  SETTLED.filter((name) => changed[name] !== old[name]);

/** @throws UnprocessableError naming each field that does not go with the others */
export function requireSound({ audience, class_id, role, publish_at, expires_at }: AnnouncementInput): void {
  const errors = [];
  for (const { pointer, value, of } of [
    { pointer: '/class_id', value: class_id, of: 'class' },
    { pointer: '/role', value: role, of: 'role' },
  ]) {
    if (audience === of && value === null) errors.push({ pointer, detail: `is needed for the audience ${of}` });
    if (audience !== of && value !== null) errors.push({ pointer, detail: `goes with the audience ${of} only` });
  }
  if (expires_at !== null && expires_at <= publish_at)
    errors.push({ pointer: '/expires_at', detail: 'must be after publish_at' });
  if (errors.length > 0) throw new UnprocessableError({ errors });
}
