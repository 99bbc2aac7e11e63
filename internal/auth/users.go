package auth

import (
	"context"
	"errors"
	"fmt"

	"reqpm/internal/store"
)

// ErrLastAdmin says that nobody could change anything any more.
var ErrLastAdmin = errors.New("this is the last admin")

// CreateUser is for admins: store.ErrConflict where the name is taken, ErrInvalid.
func (a *Auth) CreateUser(ctx context.Context, who Identity, name, password string, role Role) (store.User, error) {
	if err := Allowed(who, Admin, 0); err != nil {
		return store.User{}, err
	}
	u, err := a.newUser(ctx, name, password, role)
	if err != nil {
		return u, err
	}
	err = a.store.Write(ctx, func(tx *store.Tx) error {
		if u, err = tx.CreateUser(ctx, u); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "user.create", Object: "user " + u.Name, Detail: map[string]any{"role": role}})
	})
	u.Hash = ""
	return u, err
}

// newUser is a user as it will be kept.
func (a *Auth) newUser(ctx context.Context, name, password string, role Role) (u store.User, err error) {
	if u.Name, err = checkName(name); err != nil {
		return store.User{}, err
	}
	if u.Hash, err = a.hasher.hash(ctx, password); err != nil {
		return store.User{}, err
	}
	u.Role = role.String()
	return u, nil
}

// SetPassword changes one's own password, which takes the old one, or as an admin somebody else's, which does not (old is
// not looked at). All of the user's sessions end. ErrLogin: the old one is wrong; *LimitError, *BusyError: not tried.
func (a *Auth) SetPassword(ctx context.Context, who Identity, user int64, old, password string) error {
	self := who.User != 0 && who.User == user
	if !self {
		if err := Allowed(who, Admin, 0); err != nil {
			return err
		}
	} else if who.Token != 0 {
		return fmt.Errorf("%w: a password is changed by its user, not with a token", ErrForbidden)
	}
	u, err := a.store.User(ctx, user)
	if err != nil {
		return err
	}
	if self {
		if wait := a.byName.take(digest(u.Name)); wait > 0 {
			return &LimitError{RetryAfter: wait}
		}
		ok, _, err := a.hasher.verify(ctx, u.Hash, old)
		if err != nil {
			return err
		}
		if !ok {
			return ErrLogin
		}
		a.byName.give(digest(u.Name))
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return a.changeUser(ctx, who, user, "user.password", nil, func(now *store.User) error {
		if self && now.Hash != u.Hash { // changed while the old one was checked
			return ErrLogin
		}
		now.Hash = hash
		return nil
	})
}

// SetRole changes a user's role on the whole server: ErrLastAdmin.
func (a *Auth) SetRole(ctx context.Context, who Identity, user int64, role Role) error {
	if err := Allowed(who, Admin, 0); err != nil {
		return err
	}
	return a.changeUser(ctx, who, user, "user.role", map[string]any{"role": role}, func(u *store.User) error {
		u.Role = role.String()
		return nil
	})
}

// SetDisabled locks a user out, with all sessions and tokens, or lets them in again: ErrLastAdmin.
func (a *Auth) SetDisabled(ctx context.Context, who Identity, user int64, disabled bool) error {
	if err := Allowed(who, Admin, 0); err != nil {
		return err
	}
	return a.changeUser(ctx, who, user, "user.disabled", map[string]any{"disabled": disabled}, func(u *store.User) error {
		u.Disabled = disabled
		return nil
	})
}

// changeUser changes a user in one transaction. Where the password or whether they are disabled changes, their sessions
// end.
func (a *Auth) changeUser(ctx context.Context, who Identity, id int64, action string, detail map[string]any, change func(*store.User) error) error {
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, id)
		if err != nil {
			return err
		}
		was := u
		if err := change(&u); err != nil {
			return err
		}
		if err := tx.UpdateUser(ctx, u); err != nil {
			return err
		}
		if err := stillAdmin(ctx, tx, was); err != nil {
			return err
		}
		if u.Hash != was.Hash || u.Disabled != was.Disabled {
			if err := tx.DeleteSessions(ctx, id); err != nil {
				return err
			}
		}
		return who.Audit(ctx, tx, Change{Action: action, Object: "user " + u.Name, Detail: detail})
	})
}

// DeleteUser takes a user's sessions, tokens and memberships too: ErrLastAdmin, store.ErrNotFound.
func (a *Auth) DeleteUser(ctx context.Context, who Identity, user int64) error {
	if err := Allowed(who, Admin, 0); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		if err := tx.DeleteUser(ctx, user); err != nil {
			return err
		}
		if err := stillAdmin(ctx, tx, u); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "user.delete", Object: "user " + u.Name})
	})
}

// stillAdmin is ErrLastAdmin when the one that was changed was an admin and no other is.
func stillAdmin(ctx context.Context, tx *store.Tx, changed store.User) error {
	if stored(changed.Role) != Admin || changed.Disabled {
		return nil
	}
	any, err := hasAdmin(ctx, tx.Queries)
	if err == nil && !any {
		err = fmt.Errorf("%w: make another first", ErrLastAdmin)
	}
	return err
}

// hasAdmin says whether there is an admin who can log in.
func hasAdmin(ctx context.Context, q store.Queries) (bool, error) {
	for page := (store.Page{Limit: 500}); ; {
		part, err := q.Users(ctx, page)
		if err != nil {
			return false, err
		}
		for _, u := range part.Items {
			if stored(u.Role) == Admin && !u.Disabled {
				return true, nil
			}
		}
		if part.Next == "" {
			return false, nil
		}
		page.Cursor = part.Next
	}
}

// SetMember gives a user a role in a project beyond that on the server, or takes it away (None). It is for the project's
// maintainers, who can give no more than they have.
func (a *Auth) SetMember(ctx context.Context, who Identity, user, project int64, role Role) error {
	if project == 0 {
		return fmt.Errorf("%w: members are of a project", ErrInvalid)
	}
	if err := Allowed(who, max(Maintainer, role), project); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		members, err := tx.Members(ctx, user, project)
		if err != nil {
			return err
		}
		for _, m := range members { // nobody takes away what they could not give
			if err := Allowed(who, stored(m.Role), project); err != nil {
				return err
			}
		}
		name := role.String()
		if role == None {
			name = ""
		}
		if err := tx.SetMember(ctx, user, project, name); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "member.set", Object: "user " + u.Name, Project: project, Detail: map[string]any{"role": role}})
	})
}
