import Joi from 'joi';
import { isoInstant, reference, uuid, version, view } from '../../lib/joi.ts';
import { announcementFields, STATES } from './announcement.ts';
import type { AnnouncementView } from './announcement-service.ts';

export const announcementResponse = view({
  id: uuid,
  ...announcementFields,
  author: reference,
  state: Joi.string().valid(...STATES),
  is_editable: Joi.boolean(),
  created_at: isoInstant,
  updated_at: isoInstant,
  version,
});

export const viewOf = ({ announcement, state, isEditable }: AnnouncementView) => ({
  id: announcement.id,
  title: announcement.title,
  body: announcement.body,
  audience: announcement.audience,
  class_id: announcement.class_id,
  role: announcement.role,
  publish_at: announcement.publish_at,
  expires_at: announcement.expires_at,
  is_pinned: announcement.is_pinned,
  author: { id: announcement.author_id, name: announcement.author_name },
  state,
  is_editable: isEditable,
  created_at: announcement.created_at,
  updated_at: announcement.updated_at,
  version: announcement.version,
});
