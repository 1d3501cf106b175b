import Joi from 'joi';
import { idParams, isoInstant, line, uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { created, defineRoute, ok, type Route, stored } from '../../lib/route.ts';
import type { FileService, NewFile } from './file-service.ts';
import type { FileRow } from './file-store.ts';
import { UPLOAD_PURPOSES } from './file-types.ts';

const SERVICE = 'auth';
const LIST = '/api/v1/files';

/** A plain name: no folders, and nothing that makes a screen show another one than it is, such as marks that turn the writing. */
const fileName = line(LIMITS.files.file_name)
  .pattern(/^[^/\\\u2028\u2029\u202a-\u202e\u2066-\u2069]+$/, 'file name')
  .invalid('.', '..')
  // All that `line` says of it, too.
  .meta({
    jsonSchema: {
      allOf: [{ pattern: '^[^\\x00-\\x1f\\x7f-\\x9f/\\\\\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]+$' }],
    },
  });

const fields = {
  file_id: uuid,
  purpose: Joi.string().valid(...UPLOAD_PURPOSES, 'report', 'receipt'),
  name: Joi.string(),
  mime: Joi.string(),
  size: Joi.number().integer().min(1),
  status: Joi.string().valid('pending', 'ready', 'rejected'),
  created_at: isoInstant,
};
export const fileView = view(fields);
export const uploadView = view({
  ...fields,
  upload_url: Joi.string(),
  upload_method: Joi.string().valid('PUT'),
  upload_headers: Joi.object().pattern(Joi.string(), Joi.string()),
  expires_at: isoInstant,
});
export const linkedFileView = view({
  ...fields,
  download_url: Joi.string().allow(null),
  expires_at: isoInstant.allow(null),
});

const toFile = ({ id, purpose, fileName: name, mime, sizeBytes, status, createdAt }: FileRow) => ({
  file_id: id,
  purpose,
  name,
  mime,
  size: sizeBytes,
  status,
  created_at: createdAt,
});

export const createFileRoutes = ({ files }: { files: FileService }): Route[] => [
  defineRoute<Record<string, never>, Record<string, never>, NewFile>({
    method: 'POST',
    path: '/files',
    service: SERVICE,
    summary: 'Announce a file; its content goes to the link within 10 minutes',
    mode: 'T',
    access: 'authenticated',
    body: Joi.object<NewFile>({
      purpose: Joi.string()
        .valid(...UPLOAD_PURPOSES)
        .required(),
      name: fileName.required(),
      mime: Joi.string().max(LIMITS.files.mime).required(),
      size: Joi.number().integer().min(1).required(),
    }),
    response: uploadView,
    errors: ['FORBIDDEN', 'FILE_TYPE', 'FILE_SIZE', 'STORAGE_UNAVAILABLE'],
    async handle(context) {
      const { file, upload } = await files.create(context, context.body);
      const { url, method, headers, expiresAt } = upload;
      const data = {
        ...toFile(file),
        upload_url: url,
        upload_method: method,
        upload_headers: headers,
        expires_at: expiresAt.toISOString(),
      };
      return created(data, { location: `${LIST}/${file.id}` });
    },
  }),
  defineRoute<{ id: string }>({
    method: 'POST',
    path: '/files/:id/complete',
    service: SERVICE,
    summary: 'Have an uploaded file checked and made ready',
    mode: 'T',
    access: 'authenticated',
    params: idParams,
    success: [200],
    response: fileView,
    errors: ['NOT_UPLOADED', 'FILE_TYPE', 'FILE_SIZE', 'BAD_STATE', 'STORAGE_UNAVAILABLE'],
    async handle(context) {
      return stored(toFile(await files.complete(context, context.params.id)));
    },
  }),
  defineRoute<{ id: string }>({
    method: 'GET',
    path: '/files/:id',
    service: SERVICE,
    summary: 'A file, with a link to its content for 10 minutes',
    mode: 'R',
    access: 'authenticated',
    params: idParams,
    response: linkedFileView,
    errors: ['STORAGE_UNAVAILABLE'],
    async handle(context) {
      const { file, link } = await files.get(context, context.params.id);
      return ok({
        ...toFile(file),
        download_url: link?.url ?? null,
        expires_at: link?.expiresAt.toISOString() ?? null,
      });
    },
  }),
];
