import Joi from 'joi';
import { ROLES, type Role } from '../../lib/actor.ts';
import { email, isoInstant, line, nullable, phone, schoolDate, uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';

/** How somebody gets into an account: by a link in a mail, or by a password that an admin hands over. */
export type Credentials = 'invite' | 'temporary_password';

export interface StaffFields {
  employee_no?: string;
  full_name?: string;
  designation?: string;
  department?: string | null;
  joined_on?: string;
  left_on?: string | null;
  licence_no?: string | null;
  licence_expires_on?: string | null;
}

export interface GuardianFields {
  /** A guardian who has no login yet. */
  id?: string;
  full_name?: string;
  phone?: string;
  email?: string | null;
}

/** Whose login it is; one login may be a teacher's and a parent's. */
export interface PersonFields {
  staff?: StaffFields;
  /** A student who has no login yet. */
  student?: { id: string };
  guardian?: GuardianFields;
}

export interface UserChanges {
  login?: string;
  email?: string | null;
  person?: PersonFields;
  credentials?: Credentials;
}

export interface NewUser extends UserChanges {
  login: string;
  roles: Role[];
  person: PersonFields;
}

/** ASCII only, so that upper and lower case mean the same to the database whatever its locale is. */
export const loginField = Joi.string()
  .pattern(/^[A-Za-z0-9][A-Za-z0-9._@+-]{2,63}$/, 'login')
  .max(LIMITS.users.login);

export const emailField = nullable(email);

const personField = Joi.object<PersonFields>({
  staff: Joi.object<StaffFields>({
    employee_no: line(LIMITS.staff.employee_no),
    full_name: line(LIMITS.staff.full_name),
    designation: line(LIMITS.staff.designation),
    department: line(LIMITS.staff.department).allow(null),
    joined_on: schoolDate,
    left_on: schoolDate.allow(null),
    licence_no: line(LIMITS.staff.licence_no).allow(null),
    licence_expires_on: schoolDate.allow(null),
  }).min(1),
  student: Joi.object({ id: uuid.required() }),
  guardian: Joi.object<GuardianFields>({
    id: uuid,
    full_name: line(LIMITS.guardians.full_name),
    phone,
    email: emailField,
  })
    .min(1)
    .without('id', ['full_name', 'phone', 'email']),
}).min(1);

const credentialsField = Joi.string().valid('invite', 'temporary_password');

export const rolesField = Joi.array()
  .items(Joi.string().valid(...ROLES))
  .min(1)
  .unique();

export const newUserBody = Joi.object<NewUser>({
  login: loginField.required(),
  email: emailField,
  roles: rolesField.required(),
  person: personField.required(),
  credentials: credentialsField,
});

export const userChangesBody = Joi.object<UserChanges>({
  login: loginField,
  email: emailField,
  person: personField,
  credentials: credentialsField,
}).min(1);

const userView = {
  id: uuid,
  login: Joi.string(),
  email: nullable(Joi.string()),
  status: Joi.string().valid('invited', 'active', 'suspended', 'archived'),
  is_password_temporary: Joi.boolean(),
  roles: Joi.array().items(Joi.string().valid(...ROLES)),
  name: Joi.string(),
  person: view({
    staff: nullable(
      view({
        id: uuid,
        employee_no: Joi.string(),
        full_name: Joi.string(),
        designation: Joi.string(),
        department: nullable(Joi.string()),
        joined_on: schoolDate,
        left_on: nullable(schoolDate),
        licence_no: nullable(Joi.string()),
        licence_expires_on: nullable(schoolDate),
      }),
    ),
    student: nullable(view({ id: uuid, admission_no: Joi.string(), full_name: Joi.string() })),
    guardian: nullable(view({ id: uuid, full_name: Joi.string(), phone: Joi.string(), email: nullable(Joi.string()) })),
  }),
  last_login_at: nullable(isoInstant),
  created_at: isoInstant,
  version: Joi.number().integer(),
};

export const userResponse = view(userView);
/** `temporary_password` is shown in the first answer only: a repetition of the request answers null. */
export const userAndCredentialsResponse = view({
  ...userView,
  invite: nullable(view({ expires_at: isoInstant, is_sent: Joi.boolean() })),
  temporary_password: nullable(Joi.string()),
});
